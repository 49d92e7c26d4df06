//! The child's side of a test that runs its own binary again.

use crossing_sys::children::Watched;
use std::fmt::Display;
use std::io::{BufRead, Write};
use std::time::Duration;

/// Environment variable with the path of the test that is the role.
pub(crate) const ROLE: &str = "CROSSING_TEST_ROLE";
/// Prefix of the environment variables with a role's arguments.
pub(crate) const ARGUMENT: &str = "CROSSING_TEST_ARG_";
/// Environment variable with the process id of the test.
pub(crate) const PARENT: &str = "CROSSING_TEST_PARENT";
/// Goes before every line that a role says: libtest writes to the same pipe.
pub(crate) const MARK: &str = "\u{1}say:";

/// A process that runs as the role of a test. Made by [`role`].
#[derive(Debug)]
pub struct Role(());

/// `Some` in a child started by [`Child::role`](crate::Child::role) for the test `name`; `None` when somebody runs the
/// ignored tests by hand: return then.
///
/// # Panics
/// If something else than [`Child::role`](crate::Child::role) started it.
#[must_use]
pub fn role(name: &str) -> Option<Role> {
    let path = std::env::var(ROLE).ok()?;
    if path != name && !path.ends_with(&format!("::{name}")) {
        return None;
    }
    let parent =
        std::env::var(PARENT).ok().and_then(|pid| pid.parse().ok()).expect("the process id of the test");
    let parent = Watched::open(parent);
    std::thread::spawn(move || {
        // The test's process died without dropping its children: nobody listens any more.
        while parent.as_ref().is_ok_and(Watched::is_running) {
            std::thread::sleep(Duration::from_millis(500));
        }
        std::process::exit(3);
    });
    Some(Role(()))
}

impl Role {
    /// The argument `name`.
    ///
    /// # Panics
    /// If the parent did not set it.
    #[must_use]
    pub fn argument(&self, name: &str) -> String {
        match std::env::var(format!("{ARGUMENT}{name}")) {
            Ok(value) => value,
            Err(error) => panic!("argument {name} of this role: {error}"),
        }
    }

    /// Says one line to the parent; it is with the parent on return.
    ///
    /// # Panics
    /// If the parent is gone.
    pub fn say(&self, line: impl Display) {
        let text = format!("{MARK}{line}\n");
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).expect("tell the parent");
    }

    /// The next line that the parent told; `None` when it closed the pipe.
    ///
    /// # Panics
    /// If the pipe fails.
    #[must_use]
    pub fn hear(&self) -> Option<String> {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).expect("hear the parent");
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Sleeps until the parent kills this process.
    pub fn pause(&self) -> ! {
        loop {
            std::thread::park();
        }
    }
}
