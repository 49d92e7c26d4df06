use super::Watched;

#[test]
fn this_process_runs() {
    assert!(Watched::open(std::process::id()).unwrap().is_running());
}

#[test]
fn nobody_is_nobody() {
    assert!(Watched::open(0x7fff_fff0).is_err());
    assert!(super::kill(0x7fff_fff0).is_err());
}
