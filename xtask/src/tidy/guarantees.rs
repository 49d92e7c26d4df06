//! PLATFORM.md against the tests: every `path/to/file.rs::name` in it is a test that stands in that file.

use super::{Finding, Tree, finding};

const PAGE: &str = "PLATFORM.md";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let text = tree.text(PAGE).unwrap_or_default();
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (path, name) in line.split('`').filter_map(|part| part.split_once(".rs::")) {
            let path = format!("{path}.rs");
            let found = [path.clone(), format!("crates/{path}")].into_iter().find_map(|path| tree.text(path));
            let problem = match found {
                None => format!("{path} does not exist"),
                Some(text) if !has_test(&text, name) => format!("{path} has no test {name}"),
                Some(_) => continue,
            };
            findings.push(finding(PAGE, index + 1, problem));
        }
    }
    findings
}

/// Whether `name` is a function right after a test attribute (others may stand between).
fn has_test(text: &str, name: &str) -> bool {
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ") {
            if marked && rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')) {
                return true;
            }
            marked = false;
        }
    }
    false
}

#[cfg(test)]
#[path = "guarantees_tests.rs"]
mod tests;
