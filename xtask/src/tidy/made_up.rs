//! Small trees for the tests of the checks.

use super::{Finding, Tree};
use std::fs;
use std::path::PathBuf;

/// A directory with files, removed on drop.
pub struct MadeUp(PathBuf);

impl MadeUp {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(crossing_testkit::unique_name("tidy"));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    pub fn tree(&self) -> Tree {
        Tree::read(&self.0).unwrap()
    }

    /// What `check` finds, one line each.
    pub fn findings(&self, check: fn(&Tree) -> Vec<Finding>) -> Vec<String> {
        let mut findings = check(&self.tree());
        findings.sort();
        findings.iter().map(Finding::to_string).collect()
    }
}

impl Drop for MadeUp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What `check` finds in a tree with these files.
pub fn found(check: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    MadeUp::new(files).findings(check)
}
