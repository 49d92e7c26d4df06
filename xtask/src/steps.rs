//! `cargo xtask test`: the steps, in order, each with a heading and its time.

use crate::run::{Counts, Run, Runner};
use crate::{aarch64, i686, tidy, windows};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Which steps to run.
#[derive(Debug, Default, clap::Args)]
pub struct Selection {
    /// Run only this step (may be given several times)
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Leave this step out (may be given several times)
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// Run only the tests for Windows, under Wine: the same as `--only windows`
    #[arg(long)]
    windows: bool,
    /// List the steps
    #[arg(long)]
    list: bool,
}

impl Selection {
    pub fn only(step: &str) -> Self {
        Self { only: vec![step.to_owned()], ..Self::default() }
    }

    /// The steps it leaves, or the name that is no step.
    fn choose(&self) -> Result<Vec<&'static Step>, String> {
        let known = |name: &String| STEPS.iter().any(|step| step.name == *name);
        if let Some(name) = self.only.iter().chain(&self.skip).find(|name| !known(name)) {
            let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            return Err(format!("no step {name:?}; there are: {}", names.join(", ")));
        }
        let all = self.only.is_empty() && !self.windows;
        let wanted = |name: &str| {
            all || self.only.iter().any(|only| only == name) || (self.windows && name == "windows")
        };
        let skipped = |name: &str| self.skip.iter().any(|skip| skip == name);
        Ok(STEPS.iter().filter(|step| wanted(step.name) && !skipped(step.name)).collect())
    }
}

struct Step {
    name: &'static str,
    what: &'static str,
    /// Whether it must report tests.
    counts: bool,
    run: fn(&mut Context) -> Result<(), String>,
}

const STEPS: [Step; 12] = [
    Step {
        name: "tidy",
        what: "floors, unsafe, pages, formats, orderings",
        counts: false,
        run: Context::tidy,
    },
    Step { name: "format", what: "rustfmt", counts: false, run: Context::format },
    Step { name: "clippy", what: "lints, warnings denied", counts: false, run: Context::clippy },
    Step {
        name: "stub",
        what: "every crate type-checks without an operating system behind it",
        counts: false,
        run: Context::stub,
    },
    Step { name: "tests", what: "unit and integration tests", counts: true, run: Context::tests },
    Step { name: "docs", what: "documentation and its examples", counts: true, run: Context::docs },
    Step { name: "loom", what: "every interleaving of the primitives", counts: true, run: Context::loom },
    Step {
        name: "interop",
        what: "C++ programs and socat on the other end",
        counts: true,
        run: Context::interop,
    },
    Step { name: "windows", what: "Windows programs under Wine", counts: true, run: Context::windows },
    Step {
        name: "i686",
        what: "processes of 32 bits, alone and with one of 64",
        counts: true,
        run: Context::i686,
    },
    Step { name: "aarch64", what: "Linux on aarch64, under qemu", counts: true, run: Context::aarch64 },
    Step { name: "crash", what: "SIGKILL at every named point", counts: true, run: Context::crash },
];

/// Runs the chosen steps; stops at the first that fails.
pub fn run(root: &Path, selection: &Selection) -> Result<(), String> {
    let steps = selection.choose()?;
    if selection.list {
        for step in steps {
            println!("{:8} {}", step.name, step.what);
        }
        return Ok(());
    }
    let mut context = Context::new(root);
    let begin = Instant::now();
    let mut times = Vec::new();
    let mut done = Ok(());
    for (index, step) in steps.iter().enumerate() {
        println!("\n==== {} ({} of {}): {}", step.name, index + 1, steps.len(), step.what);
        let start = Instant::now();
        let before = context.counts;
        let outcome = (step.run)(&mut context).and_then(|()| {
            let silent = step.counts && context.counts == before;
            if silent { Err("no test ran: a suite without tests proves nothing".to_owned()) } else { Ok(()) }
        });
        times.push((step.name, start.elapsed(), outcome.is_ok()));
        println!(
            "==== {}: {} in {}",
            step.name,
            if outcome.is_ok() { "ok" } else { "FAILED" },
            seconds(start.elapsed())
        );
        if let Err(message) = outcome {
            let again = format!("run it again alone: cargo xtask test --only {}", step.name);
            done = Err(format!("step {} failed: {message}\n{again}", step.name));
            break;
        }
    }
    println!();
    for (name, time, ok) in &times {
        println!("{name:8} {:>8}  {}", seconds(*time), if *ok { "ok" } else { "FAILED" });
    }
    println!("{:8} {:>8}", "total", seconds(begin.elapsed()));
    let Counts { passed, failed } = context.counts;
    println!("{passed} passed, {failed} failed");
    done
}

/// `cargo xtask bench`.
pub fn bench(root: &Path, args: &[String]) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--package", "crossing-benches", "--"]).args(args).current_dir(root);
    let status = command.status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the benchmarks ended with {status}")) }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Optimised for steps with a target directory of their own, without the link-time optimisation of a real release, and with
/// the checks of a debug build: what a hostile peer wrote must not overflow anything.
const QUICK_RELEASE: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true"),
];

struct Context {
    root: PathBuf,
    target: PathBuf,
    nextest: bool,
    counts: Counts,
}

impl Context {
    fn new(root: &Path) -> Self {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path));
        let nextest = answers("cargo", &["nextest", "--version"]);
        Self { root: root.to_owned(), target, nextest, counts: Counts::default() }
    }

    fn cargo(&self, args: &str) -> Run {
        Run::new(&self.root, "cargo", args)
    }

    /// Tests by nextest, or by `cargo test` where that is not installed.
    fn test(&mut self, args: &str) -> Result<(), String> {
        self.test_with(args, &[])
    }

    fn test_with(&mut self, args: &str, variables: &[(&str, &Path)]) -> Result<(), String> {
        let mut run = if self.nextest {
            self.cargo(&format!("nextest run --no-fail-fast {args}")).counting(Runner::Nextest)
        } else {
            println!(
                "cargo-nextest is not installed: tests run by cargo test (cargo install --locked cargo-nextest)"
            );
            self.cargo(&format!("test --no-fail-fast --lib --bins --tests {args}")).counting(Runner::Libtest)
        };
        for (name, value) in variables {
            run = run.env(name, value);
        }
        run.run(&mut self.counts)
    }

    fn tidy(&mut self) -> Result<(), String> {
        tidy::run(&self.root)
    }

    fn format(&mut self) -> Result<(), String> {
        component("fmt", "rustfmt")?;
        self.cargo("fmt --all --check")
            .run(&mut self.counts)
            .map_err(|error| format!("{error}; cargo fmt --all puts it right"))
    }

    fn clippy(&mut self) -> Result<(), String> {
        component("clippy", "clippy")?;
        self.cargo("clippy --workspace --all-targets -- -D warnings").run(&mut self.counts)
    }

    fn stub(&mut self) -> Result<(), String> {
        let run =
            self.cargo("check -p crossing-sys -p crossing-cli --target-dir").arg(self.target.join("stub"));
        run.env("RUSTFLAGS", "--cfg crossing_os_stub").run(&mut self.counts)
    }

    fn tests(&mut self) -> Result<(), String> {
        self.test("--workspace --exclude crossing-crash-tests --exclude crossing-interop-tests")
    }

    fn docs(&mut self) -> Result<(), String> {
        self.cargo("test --doc --workspace").counting(Runner::Libtest).run(&mut self.counts)?;
        // The program's page would land on the facade's: both are named crossing.
        let run = self.cargo("doc --no-deps --workspace --exclude crossing-cli");
        run.env("RUSTDOCFLAGS", "-D warnings").run(&mut self.counts)
    }

    fn loom(&mut self) -> Result<(), String> {
        // Each model states its own bound of preemptions.
        let run = self
            .cargo("test --release -p crossing-sync -p crossing-ring --test loom --target-dir")
            .arg(self.target.join("loom"));
        quick(run.env("RUSTFLAGS", "--cfg loom").counting(Runner::Libtest)).run(&mut self.counts)
    }

    fn interop(&mut self) -> Result<(), String> {
        compiler(&self.root)?;
        if !answers("socat", &["-V"])
            && let Err(fix) = install(&self.root, "socat")
        {
            println!("socat is missing: its tests are skipped; {fix}");
        }
        self.cargo("build -p crossing-cli").run(&mut self.counts)?;
        let program = self.target.join("debug/crossing");
        self.test_with("-p crossing-interop-tests", &[("CROSSING_BIN", &program)])
    }

    fn windows(&mut self) -> Result<(), String> {
        windows::test(&self.root, &self.target, &mut self.counts)
    }

    fn i686(&mut self) -> Result<(), String> {
        i686::test(&self.root, &mut self.counts)
    }

    fn aarch64(&mut self) -> Result<(), String> {
        aarch64::test(&self.root, &mut self.counts)
    }

    fn crash(&mut self) -> Result<(), String> {
        let run =
            self.cargo("test --release -p crossing-crash-tests --target-dir").arg(self.target.join("crash"));
        quick(run.counting(Runner::Libtest)).run(&mut self.counts)
    }
}

/// Optimised, without what only a real release needs.
pub fn quick(run: Run) -> Run {
    QUICK_RELEASE.iter().fold(run, |run, (name, value)| run.env(name, value))
}

/// Whether the command runs and succeeds.
pub fn answers(program: &str, args: &[&str]) -> bool {
    let quiet = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// Names the missing part of the toolchain.
fn component(subcommand: &str, name: &str) -> Result<(), String> {
    if answers("cargo", &[subcommand, "--version"]) {
        return Ok(());
    }
    Err(format!("cargo {subcommand} is missing: rustup component add {name}"))
}

/// Finds g++, installs it on a CI machine, or names what to do.
fn compiler(root: &Path) -> Result<(), String> {
    let name = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    if answers(&name, &["--version"]) {
        return Ok(());
    }
    install(root, "g++")
        .map_err(|fix| format!("{name} is missing: the interop tests compile C++ programs; {fix}"))
}

/// Installs Debian packages on a CI machine; elsewhere answers with the command to run.
pub fn install(root: &Path, packages: &str) -> Result<(), String> {
    let root_user =
        Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if std::env::var("CI").as_deref() != Ok("true") || !root_user {
        return Err(format!("install it: apt-get install {packages}"));
    }
    let mut none = Counts::default();
    Run::new(root, "apt-get", "update").run(&mut none)?;
    let install = format!("install --yes --no-install-recommends {packages}");
    Run::new(root, "apt-get", &install).env("DEBIAN_FRONTEND", "noninteractive").run(&mut none)
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
