use super::*;

#[test]
fn hex_keeps_every_byte() {
    assert_eq!(hex(&[0, 15, 16, 255]), "000f10ff");
    let dump = hex_dump(b"0123456789abcdef\x00A", 0x20);
    assert_eq!(dump.lines().count(), 2);
    assert!(
        dump.lines().nth(1).is_some_and(|line| line.starts_with("00000030  00 41") && line.ends_with(".A"))
    );
}

#[test]
fn json_of_bytes_that_are_no_text() {
    let json = DataJson::new(&[0xff, 0x00], Some(3), None);
    assert_eq!(json.data, None);
    assert_eq!((json.len, json.hex.as_str()), (2, "ff00"));
    assert_eq!(DataJson::new(b"hi\0", None, None).data.as_deref(), Some("hi\0"));
}

#[test]
fn columns_line_up() {
    let rows = vec![vec!["a".into(), "b".into()], vec!["long".into(), "c".into()]];
    assert_eq!(table(&rows), "a     b\nlong  c\n");
}
