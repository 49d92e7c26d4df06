//! Every `crossing` command in README is one that the program understands, flags included.

use crossing_interop_tests::Place;
use crossing_testkit::build::workspace;

/// The arguments of the `crossing` commands in the shell blocks of `text`.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for line in text.lines().map(str::trim_start) {
        match (line.strip_prefix("```"), fence) {
            (Some(_), Some(_)) => fence = None,
            (Some(language), None) => fence = Some(language.trim()),
            (None, Some("sh" | "bash" | "shell")) => found.extend(arguments(line)),
            (None, Some("console")) => found.extend(line.strip_prefix("$ ").and_then(arguments)),
            (None, _) => {}
        }
    }
    found
}

/// The arguments after `crossing` or `cargo run ... --`, to the first pipe, redirection or comment.
fn arguments(line: &str) -> Option<Vec<String>> {
    let words = words(line);
    let start = match words.first().map(String::as_str) {
        Some("crossing") => 1,
        Some("cargo") if words.get(1).is_some_and(|word| word == "run") => {
            words.iter().position(|word| word == "--").map_or(words.len(), |at| at + 1)
        }
        _ => return None,
    };
    Some(words[start..].to_vec())
}

/// Words as a shell splits them, without expansions.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ' ') => words.push(String::new()),
            (None, '|' | '>' | '<' | '&' | '#' | ';') => break,
            _ => words.last_mut().expect("there is always one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn commands_are_found() {
    let text = "```sh\ncrossing send mq:/a \"b c\" # text\ncargo run --release -- demo\nls\n```\ncrossing no\n```console\n$ crossing ls | sort\ncrossing output\n```\n";
    assert_eq!(commands(text), [vec!["send", "mq:/a", "b c"], vec!["demo"], vec!["ls"]]);
}

#[test]
fn the_program_understands_every_command() {
    let place = Place::new();
    let readme = std::fs::read_to_string(workspace().join("README.md")).expect("README.md");
    let commands = commands(&readme);
    assert!(!commands.is_empty(), "README shows no command");
    for command in commands {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        // `--help` is answered only when all before it was understood; what follows `--` or `--exec`
        // is another program's.
        let end = words.iter().position(|&word| matches!(word, "--" | "--exec")).unwrap_or(words.len());
        let output = place.crossing(&words[..end]).arg("--help").run();
        assert!(output.status.success(), "README: crossing {}: {}", command.join(" "), output.stderr);
    }
}
