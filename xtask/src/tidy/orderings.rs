//! `// ORD: put-slot (release) <-> take-slot`: every ordering names its pair, and the pair exists. Several partners are
//! separated by commas; text may follow. A label is lower-case words joined by hyphens.

use super::{Finding, Tree, finding};
use std::collections::BTreeMap;

/// What follows `ORD: ` in a comment.
struct Marker {
    label: String,
    kind: String,
    partners: Vec<String>,
}

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    // Kinds of each label that stands at code, not in prose.
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in tree.sources.iter().filter(|source| source.package() != "xtask") {
        for (index, line) in source.lines.iter().enumerate() {
            let comment = &line.comment;
            let at_code = comment.trim_start_matches('/').trim_start().starts_with("ORD: ")
                && !comment.starts_with("///")
                && !comment.starts_with("//!");
            for text in comment.split("ORD: ").skip(1) {
                match parse(text) {
                    Some(marker) => {
                        if at_code {
                            kinds.entry(marker.label.clone()).or_default().push(marker.kind.clone());
                        }
                        seen.push((source.path.clone(), index + 1, marker));
                    }
                    None if at_code => {
                        let message = "cannot read this: `// ORD: some-label (release|acquire|acqrel|seqcst) <-> other-label`";
                        findings.push(finding(&source.path, index + 1, message));
                    }
                    None => {}
                }
            }
        }
    }
    for (path, line, marker) in &seen {
        for partner in &marker.partners {
            let problem = match kinds.get(partner) {
                None => Some(format!("ORD {}: its partner {partner} stands at no code", marker.label)),
                Some(kinds) if !kinds.iter().any(|kind| pairs(&marker.kind, kind)) => Some(format!(
                    "ORD {} ({}): its partner {partner} is {} too",
                    marker.label, marker.kind, marker.kind
                )),
                Some(_) => None,
            };
            findings.extend(problem.map(|message| finding(path, *line, message)));
        }
    }
    findings
}

/// Whether a store of one kind and a load of the other synchronise.
fn pairs(one: &str, other: &str) -> bool {
    !matches!((one, other), ("release", "release") | ("acquire", "acquire"))
}

fn parse(text: &str) -> Option<Marker> {
    let (label, rest) = text.split_once(" (")?;
    let (kind, rest) = rest.split_once(')')?;
    let partners = rest.trim_start().strip_prefix("<->")?;
    let partners = several(partners.trim_start());
    let known = ["release", "acquire", "acqrel", "seqcst"].contains(&kind);
    let label = first_label(label).filter(|first| first == label)?;
    (known && !partners.is_empty()).then(|| Marker { label, kind: kind.to_owned(), partners })
}

/// The labels at the start of `text`, separated by commas. What is no label ends them.
fn several(mut text: &str) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(label) = first_label(text) {
        let rest = &text[label.len()..];
        found.push(label);
        let Some(next) = rest.strip_prefix(", ") else { break };
        text = next;
    }
    found
}

/// The label at the start of `text`.
fn first_label(text: &str) -> Option<String> {
    let end = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let label = text.split(end).next().unwrap_or_default();
    (label.contains('-')).then(|| label.to_owned())
}

#[cfg(test)]
#[path = "orderings_tests.rs"]
mod tests;
