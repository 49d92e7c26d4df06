//! What the compiler cannot check. Each check takes the tree and returns findings with file and line.

mod floors;
mod formats;
mod guarantees;
mod orderings;
mod pages;
mod sources;

use crate::source::{Line, lines};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Something that must be put right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Relative to the root.
    pub path: PathBuf,
    /// From 1; 0 is the file as a whole.
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.message),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.message),
        }
    }
}

pub fn finding(path: impl Into<PathBuf>, line: usize, message: impl Into<String>) -> Finding {
    Finding { path: path.into(), line, message: message.into() }
}

/// A Rust file of the tree.
#[derive(Debug)]
pub struct Source {
    /// Relative to the root.
    pub path: PathBuf,
    pub lines: Vec<Line>,
}

impl Source {
    /// The folder name of its package (`crossing-sys`, `xtask`, `benches`).
    pub fn package(&self) -> &str {
        let parts: Vec<&str> = self.path.iter().filter_map(|part| part.to_str()).collect();
        match parts.as_slice() {
            ["crates" | "tests", package, ..] => package,
            [package, ..] => package,
            [] => "",
        }
    }

    /// Whether it is compiled only for tests.
    pub fn is_test(&self) -> bool {
        let name = self.path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        name == "tests"
            || name.ends_with("_tests")
            || self.path.iter().any(|part| part == "tests" || part == "benches")
    }
}

/// The workspace as the checks see it.
#[derive(Debug)]
pub struct Tree {
    pub root: PathBuf,
    pub sources: Vec<Source>,
}

impl Tree {
    /// Reads every Rust file under `root`, without target directories and hidden ones.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut tree = Self { root: root.to_owned(), sources: Vec::new() };
        for top in ["crates", "tests", "benches", "xtask", "examples", "fuzz"] {
            tree.walk(Path::new(top))?;
        }
        tree.sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn walk(&mut self, directory: &Path) -> Result<(), String> {
        let full = self.root.join(directory);
        if !full.is_dir() {
            return Ok(());
        }
        let failed = |error| format!("cannot read {}: {error}", full.display());
        for entry in fs::read_dir(&full).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let path = directory.join(&name);
            let name = name.to_string_lossy();
            let full = self.root.join(&path);
            if full.is_dir() {
                if !name.starts_with('.') && !name.starts_with("target") {
                    self.walk(&path)?;
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&full)
                    .map_err(|error| format!("cannot read {}: {error}", full.display()))?;
                self.sources.push(Source { path, lines: lines(&text) });
            }
        }
        Ok(())
    }

    /// The text of a file of the tree, if it is there.
    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    /// The names in a directory that end in `suffix`, sorted.
    pub fn names(&self, directory: &str, suffix: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(directory)) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(suffix)).collect();
        names.sort();
        names
    }
}

/// A check: its name and what it finds.
type Check = (&'static str, fn(&Tree) -> Vec<Finding>);

const CHECKS: [Check; 6] = [
    ("floors", floors::check),
    ("sources", sources::check),
    ("pages", pages::check),
    ("formats", formats::check),
    ("orderings", orderings::check),
    ("guarantees", guarantees::check),
];

/// Runs every check, prints all findings, fails if there is one.
pub fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let mut count = 0;
    for (name, check) in CHECKS {
        let mut findings = check(&tree);
        findings.sort();
        for finding in &findings {
            println!("{finding}");
        }
        println!(
            "tidy {name}: {}",
            if findings.is_empty() { "ok".to_owned() } else { findings.len().to_string() }
        );
        count += findings.len();
    }
    for (path, length) in sources::long(&tree) {
        println!("note: {}: {length} lines, more than {}", path.display(), sources::LONG);
    }
    match count {
        0 => Ok(()),
        count => Err(format!("tidy found {count} thing(s) to put right, listed above")),
    }
}

#[cfg(test)]
#[path = "tidy/made_up.rs"]
pub mod made_up;
