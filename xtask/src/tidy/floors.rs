//! A crate depends on lower floors only.

use super::{Finding, Tree, finding};

/// Whether a crate may hold `unsafe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsafe {
    /// In files that opt in.
    OptIn,
    /// Its root says `forbid(unsafe_code)`.
    Forbidden,
}

/// The one table of floors: folder in `crates/`, floor, unsafe.
pub const FLOORS: [(&str, u32, Unsafe); 10] = [
    ("crossing-sys", 0, Unsafe::OptIn),
    ("crossing-sync", 1, Unsafe::OptIn),
    ("crossing-wire", 1, Unsafe::Forbidden),
    ("crossing-shm", 2, Unsafe::OptIn),
    ("crossing-ring", 3, Unsafe::OptIn),
    ("crossing-bus", 4, Unsafe::Forbidden),
    ("crossing-queue", 4, Unsafe::Forbidden),
    ("crossing-net", 4, Unsafe::Forbidden),
    ("crossing", 5, Unsafe::Forbidden),
    ("crossing-cli", 6, Unsafe::Forbidden),
];

/// Crates for development only: on no floor, never below one.
pub const DEVELOPMENT: [&str; 1] = ["crossing-testkit"];

/// Not in floors 0 to 3.
const FORBIDDEN_LOW: [&str; 4] = ["tokio", "rustls", "serde", "serde_json"];
/// Only where the operating system is called.
const SYSTEM: [&str; 3] = ["libc", "rustix", "windows-sys"];
/// The floor of the facade, on which alone the floors above stand.
const FACADE: u32 = 5;

pub fn floor(package: &str) -> Option<(u32, Unsafe)> {
    FLOORS.iter().find(|(name, ..)| *name == package).map(|&(_, floor, rule)| (floor, rule))
}

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.names("crates", "") {
        let path = format!("crates/{package}/Cargo.toml");
        let Some(text) = tree.text(&path) else {
            findings.push(finding(path, 0, "no Cargo.toml: remove the folder or make it a crate"));
            continue;
        };
        if DEVELOPMENT.contains(&package.as_str()) {
            continue;
        }
        let Some((floor, _)) = floor(&package) else {
            findings.push(finding(
                path,
                0,
                format!("{package} has no floor: add it to xtask/src/tidy/floors.rs"),
            ));
            continue;
        };
        let manifest: toml::Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(finding(path, 0, format!("not valid: {error}")));
                continue;
            }
        };
        for (section, dependency) in dependencies(&manifest) {
            let problem = judge(&package, floor, section, &dependency);
            let at = line_of(&text, section, &dependency);
            findings.extend(problem.map(|message| finding(&path, at, message)));
        }
    }
    findings
}

/// What is wrong with `package` on `floor` depending on `dependency`.
fn judge(package: &str, level: u32, section: &str, dependency: &str) -> Option<String> {
    let development = section == "dev-dependencies";
    if DEVELOPMENT.contains(&dependency) {
        return (!development).then(|| format!("{dependency} is for tests: move it to [dev-dependencies]"));
    }
    if let Some((other, _)) = floor(dependency) {
        if other >= level && dependency != package {
            return Some(format!(
                "{package} (floor {level}) depends on {dependency} (floor {other}): only lower floors"
            ));
        }
        if level > FACADE && other != FACADE && !development {
            return Some(format!(
                "{package} (floor {level}) depends on {dependency}: only on the facade `crossing`"
            ));
        }
        return None;
    }
    if dependency == "crossing" || dependency.starts_with("crossing-") {
        return Some(format!("{dependency} has no floor: add it to xtask/src/tidy/floors.rs"));
    }
    if development {
        return None;
    }
    if level <= 3 && FORBIDDEN_LOW.contains(&dependency) {
        return Some(format!("{package} (floor {level}) depends on {dependency}: not on floors 0 to 3"));
    }
    if level > 0 && SYSTEM.contains(&dependency) {
        return Some(format!(
            "{package} depends on {dependency}: only crossing-sys calls the operating system"
        ));
    }
    None
}

/// Section and package name of each dependency, `[target.*]` included, renames resolved.
fn dependencies(manifest: &toml::Table) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = std::iter::once(manifest)
        .chain(targets.into_iter().flat_map(|all| all.values().filter_map(toml::Value::as_table)));
    for table in tables {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(entries) = table.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, value) in entries {
                let real = value.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                found.push((section, real.to_owned()));
            }
        }
    }
    found
}

/// Where the dependency stands, for the message; 0 if it is not found.
fn line_of(text: &str, section: &str, dependency: &str) -> usize {
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            let name = line.trim_matches(['[', ']']);
            inside = name == section || name.ends_with(&format!(".{section}"));
        } else if inside
            && (line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with([' ', '.', '=']))
                || line.contains(&format!("\"{dependency}\"")))
        {
            return index + 1;
        }
    }
    0
}

#[cfg(test)]
#[path = "floors_tests.rs"]
mod tests;
