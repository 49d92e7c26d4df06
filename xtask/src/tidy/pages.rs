//! The pages are there, and the commands that README names exist.

use super::{Finding, Tree, finding};
use crate::source::lines;

const PAGES: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "DESIGN.md",
    "PLATFORM.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];
/// Where the program's commands are defined.
const COMMANDS: &str = "crates/crossing-cli/src/args.rs";
/// Where the commands of xtask are defined.
const TASKS: &str = "xtask/src/main.rs";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in PAGES {
        if tree.text(page).is_none_or(|text| text.trim().is_empty()) {
            findings.push(finding(page, 0, "this page is missing or empty"));
        }
    }
    let commands = tree.text(COMMANDS).map(|text| variants(&text, "Command")).unwrap_or_default();
    let tasks = tree.text(TASKS).map(|text| variants(&text, "Task")).unwrap_or_default();
    let readme = tree.text("README.md").unwrap_or_default();
    for (line, command) in shell_lines(&readme) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (program, name, known, place) = match words.as_slice() {
            ["cargo", "xtask", name, ..] => ("cargo xtask", *name, &tasks, TASKS),
            ["cargo", "run", rest @ ..] => {
                let after = rest.iter().position(|&word| word == "--").and_then(|at| rest.get(at + 1));
                ("crossing", after.copied().unwrap_or("--help"), &commands, COMMANDS)
            }
            ["crossing", name, ..] => ("crossing", *name, &commands, COMMANDS),
            _ => continue,
        };
        if !name.starts_with('-') && !known.iter().any(|other| other == name) {
            let message =
                format!("`{program} {name}` does not exist ({place} defines: {})", known.join(", "));
            findings.push(finding("README.md", line, message));
        }
    }
    findings
}

/// Commands in fenced shell blocks, and their lines. In `console` blocks they follow a `$ `: the rest is output.
fn shell_lines(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().map(str::trim_start).enumerate() {
        match (line.strip_prefix("```"), fence) {
            (Some(_), Some(_)) => fence = None,
            (Some(language), None) => fence = Some(language.trim()),
            (None, Some("sh" | "bash" | "shell")) => found.push((index + 1, line)),
            (None, Some("console")) => {
                found.extend(line.strip_prefix("$ ").map(|command| (index + 1, command)))
            }
            (None, _) => {}
        }
    }
    found
}

/// The variants of `enum NAME`, as clap names them (`DemoRole` is `demo-role`).
fn variants(text: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut inside = false;
    for line in lines(text) {
        let code = line.code.trim();
        if inside && depth == 1 && code.starts_with(|c: char| c.is_ascii_uppercase()) {
            let word: String = code.chars().take_while(|c| c.is_alphanumeric()).collect();
            found.push(kebab(&word));
        }
        if code.contains(&format!("enum {name} ")) {
            inside = true;
            depth = 0;
        }
        if inside {
            depth += code.matches('{').count();
            depth = depth.saturating_sub(code.matches('}').count());
            inside = depth > 0;
        }
    }
    found
}

fn kebab(word: &str) -> String {
    let mut text = String::new();
    for c in word.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
