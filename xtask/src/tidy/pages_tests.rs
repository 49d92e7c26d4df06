use super::{PAGES, check};
use crate::tidy::made_up::found;

const ARGS: &str = "pub enum Command {\n    /// Demo\n    Demo(Args),\n    #[command(subcommand)]\n    ShmTop {\n        Inner: u8,\n    },\n    Ls,\n}\nenum Other {\n    Hidden,\n}\n";

fn tree(readme: &str) -> Vec<String> {
    let mut files: Vec<(&str, &str)> = PAGES.iter().map(|&page| (page, "text\n")).collect();
    files[0].1 = readme;
    files.push(("crates/crossing-cli/src/args.rs", ARGS));
    files.push(("xtask/src/main.rs", "enum Task {\n    Test(Selection),\n}\n"));
    found(check, &files)
}

#[test]
fn all_pages_and_commands_are_fine() {
    let readme = "```sh\ncargo run --release -- demo\ncargo xtask test --list\ncrossing shm-top create\ncrossing --version\nls\n```\n```console\n$ crossing ls\ncrossing prints this\n```\n";
    assert_eq!(tree(readme), [""; 0]);
}

#[test]
fn missing_and_empty_pages_fail() {
    let files = [("README.md", "text"), ("SECURITY.md", "\n")];
    let expected: Vec<String> = {
        let mut missing: Vec<&str> = PAGES.into_iter().filter(|&page| page != "README.md").collect();
        missing.sort_unstable();
        missing.into_iter().map(|page| format!("{page}: this page is missing or empty")).collect()
    };
    assert_eq!(found(check, &files), expected);
}

#[test]
fn commands_that_do_not_exist_fail() {
    let place = "crates/crossing-cli/src/args.rs defines: demo, shm-top, ls";
    assert_eq!(
        tree(
            "```console\n$ crossing hidden\n```\n\ncrossing prose\n\n```sh\ncargo run -- inner\ncargo xtask tests\n```\n"
        ),
        [
            format!("README.md:2: `crossing hidden` does not exist ({place})"),
            format!("README.md:8: `crossing inner` does not exist ({place})"),
            "README.md:9: `cargo xtask tests` does not exist (xtask/src/main.rs defines: test)".to_owned(),
        ]
    );
}

#[test]
fn blocks_of_other_languages_are_not_read() {
    assert_eq!(tree("```rust\ncrossing hidden\n```\n"), [""; 0]);
}
