use super::*;

struct Name(String);

impl Drop for Name {
    fn drop(&mut self) {
        let _ = unlink(&self.0);
    }
}

#[test]
fn the_access_is_that_asked_for() {
    for (access, wanted) in [(Access::Private, 0o600), (Access::Group, 0o660), (Access::World, 0o666)] {
        let name = Name(format!("/crossing-sem-mode-{}-{wanted:o}", std::process::id()));
        let _semaphore = create(&name.0, 1, access).expect("create");
        assert_eq!(rustix::fs::stat(file_of(&name.0)).expect("stat").st_mode & 0o777, wanted);
    }
}

#[test]
fn asking_in_turns_waits_as_long_as_sleeping_does() {
    let name = Name(format!("/crossing-sem-asking-{}", std::process::id()));
    let semaphore = create(&name.0, 1, Access::Private).expect("create");
    let deadline = || Some(Instant::now() + Duration::from_millis(40));
    assert!(semaphore.wait_by_asking(&name.0, deadline()).expect("a permit is there"));
    let began = Instant::now();
    assert!(!semaphore.wait_by_asking(&name.0, deadline()).expect("none is left"));
    assert!(began.elapsed() >= Duration::from_millis(40));
    std::thread::scope(|scope| {
        scope.spawn(|| semaphore.post(&name.0).expect("post"));
        assert!(semaphore.wait_by_asking(&name.0, None).expect("wait"));
    });
}

#[test]
fn a_file_that_is_no_semaphore_is_refused() {
    let name = Name(format!("/crossing-sem-odd-{}", std::process::id()));
    std::fs::write(file_of(&name.0), b"short").expect("write");
    let error = open(&name.0, false).expect_err("too short for a semaphore");
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
}
