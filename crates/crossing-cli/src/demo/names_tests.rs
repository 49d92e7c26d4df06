use super::*;

#[test]
fn only_plain_run_names_are_taken() {
    assert!(Names::of(Names::new().run()).is_ok());
    for bad in ["", "../x", "a/b", "a b", "ä"] {
        assert!(Names::of(bad).is_err(), "{bad}");
    }
}
