//! `docs/format/` against code: `// FORMAT: segment.md SegmentHeader size=128` at a layout, and a line in
//! `docs/format/segment.md` that holds `SegmentHeader` and `128 bytes`.

use super::{Finding, Tree, finding};
use crate::source::has_word;
use std::collections::BTreeSet;

const FOLDER: &str = "docs/format";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut referenced = BTreeSet::new();
    for source in tree.sources.iter().filter(|source| source.package() != "xtask") {
        for (index, line) in source.lines.iter().enumerate() {
            let Some(text) = line.comment.trim_start_matches('/').trim_start().strip_prefix("FORMAT: ")
            else {
                continue;
            };
            let at = index + 1;
            let Some((page, name, size)) = parse(text) else {
                findings.push(finding(
                    &source.path,
                    at,
                    "cannot read this: `// FORMAT: page.md Name size=128`",
                ));
                continue;
            };
            referenced.insert(page.to_owned());
            let problem = match tree.text(format!("{FOLDER}/{page}")) {
                None => Some(format!("{FOLDER}/{page} does not exist: draw the layout of {name} there")),
                Some(text) => compare(&text, page, name, size),
            };
            findings.extend(problem.map(|message| finding(&source.path, at, message)));
        }
    }
    for page in tree.names(FOLDER, ".md") {
        if !referenced.contains(&page) {
            let message = "no layout in the code refers to this page by `// FORMAT:`: remove the page or mark the layout";
            findings.push(finding(format!("{FOLDER}/{page}"), 0, message));
        }
    }
    findings
}

fn parse(text: &str) -> Option<(&str, &str, u64)> {
    let mut words = text.split_whitespace();
    let (page, name, size) = (words.next()?, words.next()?, words.next()?);
    let size = size.strip_prefix("size=")?.replace('_', "").parse().ok()?;
    page.ends_with(".md").then_some((page, name, size))
}

fn compare(text: &str, page: &str, name: &str, size: u64) -> Option<String> {
    let wanted = format!("{size} bytes");
    let lines: Vec<&str> = text.lines().filter(|line| has_word(line, name)).collect();
    if lines.is_empty() {
        return Some(format!("{FOLDER}/{page} does not mention {name}"));
    }
    let found = lines.iter().any(|line| has_word(line, &wanted));
    (!found)
        .then(|| format!("{FOLDER}/{page} has no line with {name} and \"{wanted}\": code and page differ"))
}

#[cfg(test)]
#[path = "formats_tests.rs"]
mod tests;
