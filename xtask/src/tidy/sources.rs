//! Rules for single source files: where the operating system and `unsafe` may be, how long a file is, where tests are.

use super::floors::{DEVELOPMENT, Unsafe, floor};
use super::{Finding, Source, Tree, finding};
use crate::source::has_word;
use std::path::{Path, PathBuf};

/// Files above this many lines are listed.
pub const LONG: usize = 500;
/// Files above this many lines fail.
const TOO_LONG: usize = 800;
/// The one place where an operating system is chosen.
const OS_CHOICE: &str = "crates/crossing-sys/src/os/mod.rs";
/// Packages off the floors that may hold `unsafe` in files that opt in.
const UNSAFE_DEVELOPMENT: [&str; 2] = ["benches", "crash"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        os_choice(source, &mut findings);
        system_calls(source, &mut findings);
        unsafe_code(source, &mut findings);
        forbids_unsafe(source, &mut findings);
        inline_tests(source, &mut findings);
        if source.lines.len() > TOO_LONG {
            let message = format!(
                "{} lines, at most {TOO_LONG}: split it by what its parts are about",
                source.lines.len()
            );
            findings.push(finding(&source.path, 0, message));
        }
    }
    findings
}

/// The files that are long but not too long.
pub fn long(tree: &Tree) -> Vec<(PathBuf, usize)> {
    let files = tree.sources.iter().map(|source| (source.path.clone(), source.lines.len()));
    files.filter(|&(_, length)| length > LONG && length <= TOO_LONG).collect()
}

fn os_choice(source: &Source, findings: &mut Vec<Finding>) {
    if source.path == Path::new(OS_CHOICE) {
        return;
    }
    for (index, line) in source.lines.iter().enumerate() {
        if has_word(&line.code, "target_os") {
            let message = format!(
                "target_os is written in {OS_CHOICE} only: put the difference behind the OS contract"
            );
            findings.push(finding(&source.path, index + 1, message));
        }
    }
}

fn system_calls(source: &Source, findings: &mut Vec<Finding>) {
    let package = source.package();
    if package == "crossing-sys" || source.is_test() || floor(package).is_none() {
        return;
    }
    for (index, line) in source.lines.iter().enumerate() {
        for system in ["libc", "rustix"] {
            let code = &line.code;
            let used = [format!("{system}::"), format!("use {system}")];
            if has_word(code, system) && used.iter().any(|used| code.contains(used)) {
                let message = format!("{system} outside crossing-sys: add the call to its contract");
                findings.push(finding(&source.path, index + 1, message));
            }
        }
    }
}

fn unsafe_code(source: &Source, findings: &mut Vec<Finding>) {
    let uses = |line: &str| has_word(line, "unsafe");
    let Some(first) = source.lines.iter().position(|line| uses(&line.code)) else { return };
    let package = source.package();
    let allowed = floor(package).is_some_and(|(_, rule)| rule == Unsafe::OptIn)
        || UNSAFE_DEVELOPMENT.contains(&package);
    if !allowed {
        findings.push(finding(&source.path, first + 1, format!("unsafe in {package}, which holds none")));
        return;
    }
    let opt_in = source.lines.iter().position(|line| line.code.contains("#![allow(unsafe_code)]"));
    match opt_in {
        None => {
            let message = "unsafe in a file that does not begin with `#![allow(unsafe_code)] // reason`";
            findings.push(finding(&source.path, first + 1, message));
        }
        Some(at) if source.lines[at].comment.len() < 6 => {
            findings.push(finding(
                &source.path,
                at + 1,
                "give the reason: `#![allow(unsafe_code)] // reason`",
            ));
        }
        Some(_) => {}
    }
    let proofs = source.lines.iter().filter(|line| line.comment.contains("SAFETY:")).count();
    let blocks: usize = source.lines.iter().map(|line| blocks(&line.code)).sum();
    if proofs < blocks {
        let message = format!("{blocks} unsafe blocks and impls, {proofs} `// SAFETY:` proofs: one for each");
        findings.push(finding(&source.path, 0, message));
    }
}

/// Unsafe blocks and impls that begin on this line.
fn blocks(code: &str) -> usize {
    let starts = code.match_indices("unsafe").filter(|&(at, word)| {
        let rest = code[at + word.len()..].trim_start();
        let whole = !code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        whole && (rest.starts_with('{') || rest.starts_with("impl"))
    });
    starts.count()
}

fn forbids_unsafe(source: &Source, findings: &mut Vec<Finding>) {
    let package = source.package();
    let root = ["lib.rs", "main.rs"]
        .iter()
        .any(|name| source.path == Path::new("crates").join(package).join("src").join(name));
    let forbidden =
        floor(package).is_some_and(|(_, rule)| rule == Unsafe::Forbidden) || DEVELOPMENT.contains(&package);
    if root && forbidden && !source.lines.iter().any(|line| line.code.contains("#![forbid(unsafe_code)]")) {
        findings.push(finding(
            &source.path,
            1,
            format!("{package} holds no unsafe: write #![forbid(unsafe_code)]"),
        ));
    }
}

fn inline_tests(source: &Source, findings: &mut Vec<Finding>) {
    let mut in_test = false;
    for (index, line) in source.lines.iter().enumerate() {
        let code = line.code.trim();
        if code.starts_with("#[cfg(") && has_word(code, "test") && !code.contains("not(test)") {
            in_test = true;
        } else if in_test && !code.is_empty() && !code.starts_with("#[") {
            let module = has_word(code, "mod") && code.ends_with('{');
            if module {
                let message =
                    "tests inside the file: put them in a sibling (`foo_tests.rs` or `foo/tests.rs`)";
                findings.push(finding(&source.path, index + 1, message));
            }
            in_test = false;
        }
    }
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
