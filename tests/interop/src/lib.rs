//! The `crossing` program against C++ programs that know nothing of Crossing: the tests are in `tests/`, the programs
//! in `cpp/`, and here is what the tests share.

#![forbid(unsafe_code)]

use crossing_testkit::{Builder, Child, Output, PATIENCE, RuntimeDirGuard, build, unique_name};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One test's place: a working directory with the file `shmfile`, and a runtime directory; both are gone afterwards.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    runtime: RuntimeDirGuard,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// A new place.
    ///
    /// # Panics
    /// If the directory cannot be created.
    #[must_use]
    pub fn new() -> Self {
        let directory = std::env::temp_dir().join(unique_name("crossing-interop"));
        fs::create_dir(&directory).expect("create the working directory");
        fs::write(directory.join("shmfile"), b"").expect("create the file for ftok");
        Self { directory, runtime: RuntimeDirGuard::new() }
    }

    /// The working directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The `crossing` program with these arguments.
    #[must_use]
    pub fn crossing(&self, args: &[&str]) -> Builder {
        self.runtime.give(Child::program(build::crossing())).directory(&self.directory).args(args)
    }

    /// The C++ program `cpp/NAME.cpp` with these arguments.
    #[must_use]
    pub fn cpp(&self, name: &str, args: &[&str]) -> Builder {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("cpp").join(format!("{name}.cpp"));
        Child::program(build::cpp(source)).directory(&self.directory).args(args)
    }

    /// Runs `crossing`; it must fail, and say all of `parts` on standard error.
    ///
    /// # Panics
    /// If it succeeds, says something else, or panicked itself.
    #[track_caller]
    pub fn refuses(&self, args: &[&str], parts: &[&str]) -> Output {
        let output = self.crossing(args).run();
        let said = output.stderr.to_lowercase();
        assert!(!output.status.success(), "{args:?} succeeded: {}", output.text());
        assert!(
            output.status.code().is_some_and(|code| (1..100).contains(&code)),
            "{args:?}: {}, {said}",
            output.status
        );
        for part in parts {
            assert!(said.contains(&part.to_lowercase()), "{args:?} does not say {part:?}: {said}");
        }
        output
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Runs a command when it is dropped: removes what the kernel keeps when a test fails half-way.
#[derive(Debug)]
pub struct AtEnd(Option<Builder>);

impl AtEnd {
    /// Runs `command` at the end, whatever its outcome.
    #[must_use]
    pub fn run(command: Builder) -> Self {
        Self(Some(command))
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(command) = self.0.take() {
            let _ = command.run();
        }
    }
}

/// Standard output without the one newline that a terminal's reader wants after the bytes.
#[must_use]
pub fn bytes(output: &Output) -> &[u8] {
    output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout)
}

/// Waits until somebody listens on `port` of this machine, without connecting to it.
///
/// # Panics
/// If nobody does within [`PATIENCE`].
pub fn listening(port: u16) {
    until(&format!("a listener on port {port}"), || {
        let wanted = format!(":{port:04X}");
        let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table of sockets");
        table.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
            local.ends_with(&wanted) && state == "0A"
        })
    });
}

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within [`PATIENCE`].
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
