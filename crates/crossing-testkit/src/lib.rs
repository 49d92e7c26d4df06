//! What Crossing's own tests share: real child processes, a watchdog, unique names, a runtime directory that is
//! checked for leftovers, and C++ programs compiled by the test.
//!
//! # Child processes that are part of the test
//!
//! A test that needs a second process runs its own binary again. The second process is written as a test that is
//! ignored and starts with [`role`]:
//!
//! ```no_run
//! use crossing_testkit::{Child, role};
//!
//! #[test]
//! #[ignore = "a child process of owner_dies"]
//! fn role_owner() {
//!     let Some(role) = role("role_owner") else { return };
//!     let name = role.argument("name"); // set by the parent
//!     role.say("locked"); // one line to the parent
//!     role.pause(); // until the parent kills it
//! }
//!
//! #[test]
//! fn owner_dies() {
//!     let mut owner = Child::role("role_owner").argument("name", "prices").spawn();
//!     owner.expect("locked");
//!     owner.kill(); // SIGKILL, reaped on return
//! }
//! ```
//!
//! In a module of a library, give [`Child::role`] the whole path of the test (`mutex::tests::role_owner`). A child is
//! killed when its [`Child`] is dropped, and ends by itself when the test's process dies.
//!
//! Every wait in this crate has a limit and fails the test with what the child wrote until then.

#![forbid(unsafe_code)]

pub mod build;
mod capture;
mod child;
mod names;
pub mod polls;
pub mod proxy;
mod role;
mod runtime_dir;
mod watchdog;

pub use child::{Builder, Child, Output, killed};
pub use names::{unique_name, unique_port};
pub use role::{Role, role};
pub use runtime_dir::RuntimeDirGuard;
pub use watchdog::{Watchdog, watchdog};

use std::process::Command;
use std::time::Duration;

/// This test program again, without arguments. `$CROSSING_TEST_RUNNER` is the program that runs it, if the machine cannot
/// by itself: qemu, for another architecture's tests.
///
/// # Panics
/// If the path of the running program is unknown.
#[must_use]
pub fn myself() -> Command {
    let program = std::env::current_exe().expect("path of the test binary");
    let Some(runner) = std::env::var_os("CROSSING_TEST_RUNNER") else { return Command::new(program) };
    let mut command = Command::new(runner);
    command.arg(program);
    command
}

/// How long a child may take for one line or for its end, unless the test says otherwise: far more than a loaded
/// machine needs, far less than a CI run may lose.
pub const PATIENCE: Duration = Duration::from_secs(30);
