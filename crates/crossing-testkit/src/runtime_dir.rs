//! A runtime directory of one test, checked for leftovers at its end.

use crate::{Builder, unique_name};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The environment variable that moves Crossing's runtime directory.
const VARIABLE: &str = "CROSSING_RUNTIME_DIR";

/// A runtime directory for the children of one test. Its drop fails the test if anything is left in it, and removes
/// it.
#[derive(Debug)]
pub struct RuntimeDirGuard {
    path: PathBuf,
    allowed: Vec<PathBuf>,
}

impl Default for RuntimeDirGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl RuntimeDirGuard {
    /// A new, empty, private directory under `/dev/shm` (or the temporary directory where that is missing).
    ///
    /// # Panics
    /// If it cannot be created.
    #[must_use]
    pub fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let base = if cfg!(unix) && shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        let path = base.join(unique_name("crossing-test"));
        // A run that was killed may have left one under the same process id.
        let _ = fs::remove_dir_all(&path);
        #[cfg_attr(not(unix), expect(unused_mut))]
        let mut builder = fs::DirBuilder::new();
        // Elsewhere the temporary directory is the user's own.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).expect("create the runtime directory of the test");
        Self { path, allowed: Vec::new() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a child use it.
    #[must_use]
    pub fn give(&self, child: Builder) -> Builder {
        child.env(VARIABLE, &self.path)
    }

    /// Lets `relative` (and all below it) stay: what a design keeps for the user's next program.
    pub fn allow(&mut self, relative: impl AsRef<Path>) {
        self.allowed.push(relative.as_ref().to_owned());
    }

    /// What lies in it, relative, empty directories included, without what is allowed.
    ///
    /// # Panics
    /// If the directory cannot be read.
    #[must_use]
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        self.list(&self.path, &mut found);
        found.sort();
        found
    }

    fn list(&self, directory: &Path, found: &mut Vec<PathBuf>) {
        let is_gone = |cause: &std::io::Error| cause.kind() == ErrorKind::NotFound && directory != self.path;
        // As the floors above list it: who removes a directory excludes, in some versions of Windows, those who list it.
        let list = || crossing_sys::directory::entries(directory);
        let entries = match settled(list, |listed| listed.as_ref().err().is_none_or(is_gone)) {
            // Others remove what the dead left while this looks.
            Err(cause) if is_gone(&cause) => return,
            entries => entries.expect("read the runtime directory"),
        };
        for entry in entries {
            let path = entry.expect("entry of the runtime directory").path();
            let relative = path.strip_prefix(&self.path).unwrap_or(&path).to_owned();
            if self.allowed.iter().any(|allowed| relative.starts_with(allowed)) {
                continue;
            }
            // Files that could not be deleted while they were mapped wait here (Windows); empty, it holds nothing.
            if relative == Path::new(".trash") && fs::remove_dir(&path).is_ok() {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                self.list(&path, found);
            }
            if path.exists() || path.is_symlink() {
                found.push(relative);
            }
        }
    }
}

/// What `ask` answers when `good` likes it, or in the end. Windows finishes a deletion when the last handle is closed,
/// be it that of a process just killed or of a virus scanner: there it is asked again for a while.
fn settled<T>(mut ask: impl FnMut() -> T, good: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let answer = ask();
        if good(&answer) || cfg!(unix) || Instant::now() > deadline {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for RuntimeDirGuard {
    fn drop(&mut self) {
        let left =
            if std::thread::panicking() { Vec::new() } else { settled(|| self.leftovers(), Vec::is_empty) };
        let _ = settled(|| fs::remove_dir_all(&self.path), Result::is_ok);
        assert!(left.is_empty(), "left behind in the runtime directory: {left:?}");
    }
}

#[cfg(test)]
#[path = "runtime_dir_tests.rs"]
mod tests;
