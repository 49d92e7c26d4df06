//! Reads a Rust file as far as tidy needs: which text is code and which is comment, line by line.

/// One line of a source file, taken apart. Columns are kept: what belongs elsewhere is blank.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Line {
    /// Code; strings keep their quotes and lose their content.
    pub code: String,
    /// Comment, doc comments included, with its slashes.
    pub comment: String,
}

enum State {
    Code,
    /// Depth of nesting.
    Block(u32),
    /// Hashes that end it; `None` is a string with escapes.
    Text(Option<usize>),
}

/// Takes `text` apart.
pub fn lines(text: &str) -> Vec<Line> {
    let mut state = State::Code;
    text.lines().map(|line| split(line, &mut state)).collect()
}

fn split(text: &str, state: &mut State) -> Line {
    let chars: Vec<char> = text.chars().collect();
    let mut line = Line::default();
    let mut at = 0;
    while at < chars.len() {
        let here = chars[at];
        let next = chars.get(at + 1).copied().unwrap_or('\0');
        match state {
            State::Block(depth) => {
                let both = match (here, next) {
                    ('*', '/') => {
                        *depth -= 1;
                        true
                    }
                    ('/', '*') => {
                        *depth += 1;
                        true
                    }
                    _ => false,
                };
                if *depth == 0 {
                    *state = State::Code;
                }
                for _ in 0..=usize::from(both) {
                    line.comment.push(chars[at]);
                    at += 1;
                }
            }
            State::Text(end) => {
                let closes = match end {
                    None => here == '"',
                    Some(hashes) => {
                        here == '"' && chars[at + 1..].iter().take_while(|&&c| c == '#').count() >= *hashes
                    }
                };
                let escape = end.is_none() && here == '\\';
                if closes {
                    line.code.push('"');
                    at += 1 + end.unwrap_or(0);
                    *state = State::Code;
                } else {
                    line.code.push(' ');
                    at += if escape { 2 } else { 1 };
                }
            }
            State::Code => match (here, next) {
                ('/', '/') => {
                    line.comment.extend(&chars[at..]);
                    at = chars.len();
                }
                ('/', '*') => {
                    *state = State::Block(1);
                    line.comment.push_str("/*");
                    at += 2;
                }
                ('"', _) => {
                    *state = State::Text(None);
                    line.code.push('"');
                    at += 1;
                }
                ('r', '"' | '#') if !in_word(&chars, at) => {
                    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
                    if chars.get(at + 1 + hashes) == Some(&'"') {
                        *state = State::Text(Some(hashes));
                        line.code.push('"');
                        at += 2 + hashes;
                    } else {
                        line.code.push(here);
                        at += 1;
                    }
                }
                ('\'', _) => at = character(&chars, at, &mut line.code),
                _ => {
                    line.code.push(here);
                    at += 1;
                }
            },
        }
    }
    line
}

/// A character literal loses its content; a lifetime stays.
fn character(chars: &[char], at: usize, code: &mut String) -> usize {
    let escaped = chars.get(at + 1) == Some(&'\\');
    let end = if escaped {
        chars.iter().skip(at + 3).position(|&c| c == '\'').map(|more| at + 3 + more)
    } else {
        (chars.get(at + 2) == Some(&'\'')).then_some(at + 2)
    };
    code.push('\'');
    match end {
        Some(end) => {
            code.push_str(" '");
            end + 1
        }
        None => at + 1,
    }
}

fn in_word(chars: &[char], at: usize) -> bool {
    // `br"` and `cr"` are raw strings too.
    let before = |back: usize| at.checked_sub(back).map(|index| chars[index]);
    match before(1) {
        Some('b' | 'c') => before(2).is_some_and(is_word),
        Some(other) => is_word(other),
        None => false,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `code` holds the whole word `word`.
pub fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        !code[..at].chars().next_back().is_some_and(is_word)
            && !code[at + word.len()..].chars().next().is_some_and(is_word)
    })
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
