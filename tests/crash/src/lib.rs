//! What the crash tests share.

use std::path::Path;

/// splitmix64.
pub fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut value = *seed;
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The crash points in the sources of `package`, without those that begin with one of `not`.
///
/// # Panics
/// If there are none, or the sources cannot be read.
#[must_use]
pub fn points(package: &str, not: &[&str]) -> Vec<String> {
    fn search(path: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                search(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.split("crash::point(\"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(names.map(str::to_owned));
            }
        }
    }
    let mut found = Vec::new();
    let root = crossing_testkit::build::workspace();
    search(&root.join("crates").join(package).join("src"), &mut found);
    found.sort();
    found.dedup();
    found.retain(|name| !not.iter().any(|prefix| name.starts_with(prefix)));
    assert!(!found.is_empty(), "no crash points in {package}");
    found
}
