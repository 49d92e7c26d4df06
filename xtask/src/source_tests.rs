use super::{has_word, lines};

fn code(text: &str) -> String {
    lines(text).into_iter().map(|line| line.code).collect::<Vec<_>>().join("\n")
}

fn comments(text: &str) -> String {
    lines(text).into_iter().map(|line| line.comment).collect::<Vec<_>>().join("\n")
}

#[test]
fn strings_lose_their_content() {
    assert_eq!(code("let a = \"x // y\"; // z"), "let a = \"      \"; ");
    assert_eq!(code(r#"f("a\"b"); g"#), "f(\"   \"); g");
    assert_eq!(code("r#\"unsafe \" \"#; x"), "\"         \"; x");
    assert_eq!(code("\"one\nunsafe\" end"), "\"   \n      \" end");
}

#[test]
fn comments_are_kept_apart() {
    assert_eq!(comments("a // b"), "// b");
    assert_eq!(code("a /* b /* c */ d */ e"), "a  e");
    assert_eq!(comments("/* one\ntwo */ three"), "/* one\ntwo */");
    assert_eq!(comments("let a = \"// no\";"), "");
}

#[test]
fn characters_and_lifetimes() {
    assert_eq!(code("'\"'; \"unsafe\""), "' '; \"      \"");
    assert_eq!(code(r"'\''; unsafe"), "' '; unsafe");
    assert_eq!(code("fn f<'a>(x: &'a str)"), "fn f<'a>(x: &'a str)");
}

#[test]
fn words_are_whole() {
    assert!(has_word("unsafe {", "unsafe"));
    assert!(has_word("x(unsafe)", "unsafe"));
    assert!(!has_word("#![allow(unsafe_code)]", "unsafe"));
    assert!(!has_word("not_unsafe", "unsafe"));
}
