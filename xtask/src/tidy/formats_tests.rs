use super::check;
use crate::tidy::made_up::found;

const CODE: &str = "crates/crossing-shm/src/a.rs";
const PAGE: &str = "docs/format/segment.md";

fn both(code: &str, page: &str) -> Vec<String> {
    found(check, &[(CODE, code), (PAGE, page)])
}

#[test]
fn agreement_is_fine() {
    assert_eq!(
        both("// FORMAT: segment.md Header size=128\n", "# Segment\n\n`Header`, 128 bytes:\n"),
        [""; 0]
    );
}

#[test]
fn another_size_fails() {
    let message = "docs/format/segment.md has no line with Header and \"12 bytes\": code and page differ";
    assert_eq!(
        both("\n// FORMAT: segment.md Header size=12\n", "Header, 128 bytes\n"),
        [format!("{CODE}:2: {message}")]
    );
    assert_eq!(
        both("\n// FORMAT: segment.md Header size=12\n", "Header, 112 bytes\n"),
        [format!("{CODE}:2: {message}")]
    );
}

#[test]
fn another_name_fails() {
    assert_eq!(
        both("// FORMAT: segment.md Header size=128\n", "HeaderOld, 128 bytes\n"),
        [format!("{CODE}:1: docs/format/segment.md does not mention Header")]
    );
}

#[test]
fn a_missing_page_fails() {
    assert_eq!(
        found(check, &[(CODE, "// FORMAT: gone.md Header size=128\n")]),
        [format!("{CODE}:1: docs/format/gone.md does not exist: draw the layout of Header there")]
    );
}

#[test]
fn a_page_without_code_fails() {
    assert_eq!(
        found(check, &[(PAGE, "Header, 128 bytes\n")]),
        [format!(
            "{PAGE}: no layout in the code refers to this page by `// FORMAT:`: remove the page or mark the layout"
        )]
    );
}

#[test]
fn a_marker_that_cannot_be_read_fails() {
    let message = "cannot read this: `// FORMAT: page.md Name size=128`";
    assert_eq!(
        found(check, &[(CODE, "// FORMAT: segment.md Header 128\n")]),
        [format!("{CODE}:1: {message}")]
    );
}
