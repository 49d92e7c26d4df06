//! A child process of a test: killed on drop, stopped and continued, its lines awaited with a limit.

use crate::PATIENCE;
use crate::capture::Capture;
use crate::role::{ARGUMENT, MARK, PARENT, ROLE};
use crossing_sys::children;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How to start a [`Child`].
#[derive(Debug)]
pub struct Builder {
    command: Command,
    name: String,
    /// Lines count only with the mark that roles put before them: libtest writes to the same pipe.
    marked: bool,
}

impl Builder {
    /// Adds an argument (of a program, not of a role).
    #[must_use]
    pub fn arg(mut self, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(value);
        self
    }

    /// Adds arguments (of a program, not of a role).
    #[must_use]
    pub fn args(mut self, values: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(values);
        self
    }

    /// Sets an argument of a role, read there by [`Role::argument`](crate::Role::argument).
    #[must_use]
    pub fn argument(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env(format!("{ARGUMENT}{name}"), value)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If the program cannot be started.
    #[must_use]
    pub fn spawn(mut self) -> Child {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (process, pipes) = running(&mut self.command, &self.name);
        Child { builder: self, process, pipes, status: None, again: 0 }
    }

    /// Starts it, closes its standard input and waits for its end, at most [`PATIENCE`].
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    #[must_use]
    pub fn run(self) -> Output {
        self.spawn().wait(PATIENCE)
    }
}

/// Starts a process; again if Wine's server was busy with the end of another (ERROR_INTERNAL_ERROR).
fn start(command: &mut Command) -> std::io::Result<std::process::Child> {
    const INTERNAL_ERROR: i32 = 1359;
    for _ in 0..20 {
        match command.spawn() {
            Err(error) if cfg!(windows) && error.raw_os_error() == Some(INTERNAL_ERROR) => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
    command.spawn()
}

/// Starts a process, and what collects its output.
fn running(command: &mut Command, name: &str) -> (std::process::Child, Pipes) {
    let mut process = match start(command) {
        Ok(process) => process,
        Err(error) => panic!("cannot start {name}: {error}"),
    };
    let stdout = Capture::start(process.stdout.take().expect("stdout is piped"));
    let stderr = Capture::start(process.stderr.take().expect("stderr is piped"));
    let stdin = process.stdin.take();
    crate::watchdog::started(process.id());
    (process, Pipes { stdin, stdout, stderr })
}

struct Pipes {
    stdin: Option<ChildStdin>,
    stdout: Capture,
    stderr: Capture,
}

/// A running child process of a test. Dropping it kills and reaps it.
pub struct Child {
    builder: Builder,
    process: std::process::Child,
    pipes: Pipes,
    status: Option<ExitStatus>,
    /// How often it was started again.
    again: u32,
}

/// What a child left when it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Every byte it wrote to standard output, read lines included.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The same, after checking that the exit code is zero.
    ///
    /// # Panics
    /// If the program failed, with what it wrote.
    pub fn success(self) -> Self {
        assert!(
            self.status.success(),
            "failed: {}\n--- stdout\n{}\n--- stderr\n{}",
            self.status,
            self.text(),
            self.stderr
        );
        self
    }
}

/// Whether a process ended as `kill -9` ends one, by its own hand (a crash point) or another's.
///
/// # Platform-specific behavior
/// Windows has no signals: a process at a crash point ends itself with code 137; one that [`Child::kill`] ended has code 1,
/// which is not told from a failure here.
#[must_use]
pub fn killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    #[cfg(not(unix))]
    return status.code() == Some(137);
}

impl Child {
    /// This test binary again, running only the ignored test `path` (its whole path in the binary) as a role.
    ///
    /// # Panics
    /// If the path of the running binary is unknown.
    #[must_use]
    pub fn role(path: &str) -> Builder {
        Self::as_role(crate::myself(), path)
    }

    /// Another build of this test binary, as [`role`](Self::role).
    #[must_use]
    pub fn role_of(binary: impl AsRef<OsStr>, path: &str) -> Builder {
        Self::as_role(Command::new(binary), path)
    }

    fn as_role(mut command: Command, path: &str) -> Builder {
        command.args(["--exact", path, "--ignored", "--nocapture", "--test-threads=1", "--quiet"]);
        command.env(ROLE, path).env(PARENT, std::process::id().to_string());
        Builder { command, name: path.to_owned(), marked: true }
    }

    /// Any program.
    #[must_use]
    pub fn program(path: impl AsRef<Path>) -> Builder {
        let path = path.as_ref();
        Builder { command: Command::new(path), name: path.display().to_string(), marked: false }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The next line, waiting at most `limit`; `None` if none came or the output ended.
    #[must_use]
    pub fn line(&mut self, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        loop {
            let line = self.pipes.stdout.line(deadline)?;
            match line.split_once(MARK) {
                Some((_, said)) if self.builder.marked => return Some(said.to_owned()),
                _ if self.builder.marked => {}
                _ => return Some(line),
            }
        }
    }

    /// The next line within `limit`.
    ///
    /// # Panics
    /// If none comes, with all that the child wrote.
    #[must_use]
    pub fn expect_line(&mut self, limit: Duration) -> String {
        loop {
            if let Some(line) = self.line(limit) {
                return line;
            }
            let state = self.poll().map_or("it runs".to_owned(), |status| format!("it ended: {status}"));
            assert!(
                self.never_began() && self.again < 3,
                "no line from {} within {limit:?}; {state}{}",
                self.builder.name,
                self.written()
            );
            eprintln!("note: {} never began ({state}); it is started again", self.builder.name);
            self.start_again();
        }
    }

    /// Whether a role wrote nothing at all, not even what libtest says first: Wine ended it or left it lying before it came to
    /// that, once in some thousands of processes that are started while others are killed.
    fn never_began(&self) -> bool {
        let nothing = |capture: &Capture| capture.bytes().is_empty();
        cfg!(windows) && self.builder.marked && nothing(&self.pipes.stdout) && nothing(&self.pipes.stderr)
    }

    fn start_again(&mut self) {
        self.again += 1;
        self.reap();
        (self.process, self.pipes) = running(&mut self.builder.command, &self.builder.name);
        self.status = None;
    }

    fn reap(&mut self) {
        if self.status.is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
            crate::watchdog::ended(self.process.id());
        }
    }

    /// Waits for a line that is exactly `wanted`, at most [`PATIENCE`].
    ///
    /// # Panics
    /// If another line or none comes.
    pub fn expect(&mut self, wanted: &str) {
        let line = self.expect_line(PATIENCE);
        assert!(line == wanted, "{} said {line:?}, expected {wanted:?}{}", self.builder.name, self.written());
    }

    /// Writes a line to its standard input, at once: a child that reads what there is gets all of it.
    ///
    /// # Panics
    /// If the child closed it or it was closed before.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.pipes.stdin.as_mut().expect("standard input is open");
        let whole = format!("{line}\n");
        if let Err(error) = stdin.write_all(whole.as_bytes()).and_then(|()| stdin.flush()) {
            panic!("cannot tell {} {line:?}: {error}", self.builder.name);
        }
    }

    /// Whether it still runs (a stopped child does).
    ///
    /// # Panics
    /// If the operating system cannot say.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.poll().is_none()
    }

    /// Kills it as `kill -9` does (TerminateProcess on Windows); dead and reaped on return.
    ///
    /// # Panics
    /// If the operating system refuses.
    pub fn kill(&mut self) -> ExitStatus {
        if let Some(status) = self.poll() {
            return status;
        }
        self.process.kill().expect("kill the child");
        let status = self.process.wait().expect("reap the child");
        crate::watchdog::ended(self.process.id());
        self.status = Some(status);
        status
    }

    /// Stops it; stopped on return.
    ///
    /// # Panics
    /// If it has ended.
    ///
    /// # Platform-specific behavior
    /// Unix: SIGSTOP. Windows: every thread is suspended.
    pub fn stop(&self) {
        self.control("stop", children::stop);
    }

    /// Continues it after [`stop`](Self::stop).
    ///
    /// # Panics
    /// If it has ended.
    pub fn resume(&self) {
        self.control("resume", children::resume);
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Panics
    /// If it has ended, and on Windows, which has no such signal.
    pub fn terminate(&self) {
        self.control("terminate", children::terminate);
    }

    /// Interrupts it as Ctrl-C does (SIGINT).
    ///
    /// # Panics
    /// As [`terminate`](Self::terminate).
    pub fn interrupt(&self) {
        self.control("interrupt", children::interrupt);
    }

    /// Closes its standard input and waits for its end.
    ///
    /// # Panics
    /// If it still runs after `limit`, with all that it wrote; it is killed then.
    #[must_use]
    pub fn wait(mut self, limit: Duration) -> Output {
        self.pipes.stdin = None;
        let deadline = Instant::now() + limit;
        let mut nap = Duration::from_micros(200);
        let status = loop {
            if let Some(status) = self.poll() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "{} still runs after {limit:?}{}",
                self.builder.name,
                self.written()
            );
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(10));
        };
        // A grandchild may hold the pipe open; what came until now is what there is.
        let rest = Instant::now() + Duration::from_secs(5);
        let _ = self.pipes.stdout.ended(rest) && self.pipes.stderr.ended(rest);
        let stderr = String::from_utf8_lossy(&self.pipes.stderr.bytes()).into_owned();
        Output { status, stdout: self.pipes.stdout.bytes(), stderr }
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.process.try_wait().expect("state of the child");
            if self.status.is_some() {
                crate::watchdog::ended(self.process.id());
            }
        }
        self.status
    }

    fn control(&self, what: &str, call: fn(&std::process::Child) -> std::io::Result<()>) {
        assert!(self.status.is_none(), "{} has ended", self.builder.name);
        if let Err(error) = call(&self.process) {
            panic!("cannot {what} {}: {error}{}", self.builder.name, self.written());
        }
    }

    fn written(&self) -> String {
        let text = |capture: &Capture| String::from_utf8_lossy(&capture.bytes()).into_owned();
        format!("\n--- stdout\n{}\n--- stderr\n{}", text(&self.pipes.stdout), text(&self.pipes.stderr))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.reap();
    }
}
