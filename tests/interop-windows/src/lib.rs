//! The named kernel objects of Windows, shared with a plain C program that knows nothing of Crossing: the program is in
//! `c/`, compiled by `build.rs`, the tests are in `tests/`. Without Windows there is nothing here.

#![forbid(unsafe_code)]

#[cfg(windows)]
use crossing_testkit::Child;

/// The C program with `args`: one object, used as it is told.
///
/// # Panics
/// If the program was not compiled, or answers something else than `ready`.
#[cfg(windows)]
#[must_use]
pub fn foreign(args: &[&str]) -> Child {
    let mut child = start(args);
    child.expect("ready");
    child
}

/// The same, whatever it answers.
///
/// # Panics
/// If the program was not compiled.
#[cfg(windows)]
#[must_use]
pub fn start(args: &[&str]) -> Child {
    let program = std::path::Path::new(env!("CROSSING_KERNEL_OBJECTS"));
    assert!(
        program.exists(),
        "{} was not compiled: apt-get install gcc-mingw-w64, then build again",
        program.display()
    );
    Child::program(program).args(args).spawn()
}

/// Tells the C program one line and waits for its answer.
///
/// # Panics
/// If it does not come.
#[cfg(windows)]
#[must_use]
pub fn ask(child: &mut Child, line: &str) -> String {
    child.tell(line);
    child.expect_line(crossing_testkit::PATIENCE)
}
