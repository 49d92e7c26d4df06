//! The parent of the demo: starts the processes, tells them what to do next, collects what they report.

use super::event::{Event, Process, Through, What};
use super::report::Report;
use crossing::process::monotonic_nanos;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// The whole demo takes less, or has failed.
pub const WATCHDOG: Duration = Duration::from_secs(30);

/// The children and everything they have said.
pub struct Orchestrator {
    run: String,
    queues: Vec<Through>,
    deadline: Instant,
    children: HashMap<Process, (Child, Option<ChildStdin>)>,
    said: Receiver<(Process, Option<String>)>,
    say: Sender<(Process, Option<String>)>,
    /// Every event so far, in order of arrival.
    pub events: Vec<Event>,
    /// The live report.
    pub report: Report,
}

impl Orchestrator {
    /// Starts nothing yet; `run` names the run.
    pub fn new(run: &str, queues: Vec<Through>, report: Report) -> Self {
        let (say, said) = channel();
        Self {
            run: run.to_owned(),
            queues,
            deadline: Instant::now() + WATCHDOG,
            children: HashMap::new(),
            said,
            say,
            events: Vec::new(),
            report,
        }
    }

    /// Starts a process in its role and waits until it is ready.
    pub fn start(&mut self, process: Process) -> Result<u32, String> {
        let program =
            std::env::current_exe().map_err(|cause| format!("cannot find this program: {cause}"))?;
        let mut command = Command::new(program);
        command.arg("demo-role").arg(process.to_string().to_lowercase()).arg("--run").arg(&self.run);
        for through in &self.queues {
            command.arg("--queue").arg(through.to_string());
        }
        for event in &self.events {
            if let What::Listening { through: through @ (Through::TcpFramed | Through::TcpRaw), endpoint } =
                &event.what
            {
                command.arg("--connect").arg(format!("{through}={endpoint}"));
            }
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|cause| format!("cannot start {process}: {cause}"))?;
        let pid = child.id();
        let (input, output) = (child.stdin.take(), child.stdout.take());
        self.children.insert(process, (child, input));
        if let Some(output) = output {
            let say = self.say.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if say.send((process, Some(line))).is_err() {
                        return;
                    }
                }
                let _ = say.send((process, None));
            });
        }
        self.report.started(process, pid);
        self.wait_for(process, "to be ready", |what| matches!(what, What::Ready | What::Holding { .. }))?;
        Ok(pid)
    }

    /// Tells a process what to do next.
    pub fn tell(&mut self, process: Process, order: &str) -> Result<(), String> {
        let input = self.children.get_mut(&process).and_then(|(_, input)| input.as_mut());
        let input = input.ok_or_else(|| format!("{process} is not running"))?;
        writeln!(input, "{order}")
            .and_then(|()| input.flush())
            .map_err(|cause| format!("{process} is gone: {cause}"))
    }

    /// Gives both processes the same order to exchange messages, and waits until both have done so.
    pub fn exchange(&mut self, order: &str) -> Result<(), String> {
        let before = self.done();
        for process in [Process::Process2, Process::Process1] {
            self.tell(process, order)?;
        }
        while self.done() < before + 2 {
            self.next("the exchange to end")?;
        }
        Ok(())
    }

    fn done(&self) -> usize {
        self.events.iter().filter(|event| event.what == What::ExchangeDone).count()
    }

    /// Collects events until `process` reports what `wanted` accepts.
    pub fn wait_for(
        &mut self,
        process: Process,
        what: &str,
        wanted: fn(&What) -> bool,
    ) -> Result<(), String> {
        loop {
            let event = self.next(&format!("{process} {what}"))?;
            if event.process == process && wanted(&event.what) {
                return Ok(());
            }
        }
    }

    /// The next event of any process.
    fn next(&mut self, awaited: &str) -> Result<Event, String> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok((process, Some(line))) => {
                    let event: Event = serde_json::from_str(&line)
                        .map_err(|cause| format!("{process} said something unreadable ({cause}): {line}"))?;
                    self.record(event.clone());
                    if let What::Failed { text } = &event.what {
                        return Err(format!("{process}: {text}"));
                    }
                    return Ok(event);
                }
                // The victim's end is waited for where it is killed.
                Ok((Process::Process3, None)) => {}
                Ok((process, None)) if self.has_closed(process) => {}
                Ok((process, None)) => return Err(format!("{process} ended while waiting for {awaited}")),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(format!("waited too long for {awaited}"));
                }
            }
        }
    }

    fn has_closed(&self, process: Process) -> bool {
        self.events.iter().any(|event| event.process == process && event.what == What::Closed)
    }

    /// Whether a process said that something went wrong.
    pub fn has_failed(&self, process: Process) -> bool {
        self.events.iter().any(|e| e.process == process && matches!(e.what, What::Failed { .. }))
    }

    fn record(&mut self, event: Event) {
        self.report.event(&event);
        self.events.push(event);
    }

    /// Kills a process the hard way and waits until the kernel reports it gone.
    pub fn kill(&mut self, process: Process) -> Result<ExitStatus, String> {
        let (child, _input) =
            self.children.get_mut(&process).ok_or_else(|| format!("{process} is not running"))?;
        let victim = child.id();
        let killed_at = monotonic_nanos();
        child.kill().map_err(|cause| format!("cannot kill {process}: {cause}"))?;
        let status = child.wait().map_err(|cause| format!("cannot wait for {process}: {cause}"))?;
        let dead_at = monotonic_nanos();
        let pid = std::process::id();
        let event = |at_ns, what| Event { at_ns, process: Process::Demo, pid, what };
        self.record(event(killed_at, What::Killed { victim }));
        self.record(event(dead_at, What::Dead { after_ns: dead_at.saturating_sub(killed_at) }));
        Ok(status)
    }

    /// Lets a process close everything, and returns how it ended.
    pub fn finish(&mut self, process: Process) -> Result<ExitStatus, String> {
        self.tell(process, "finish")?;
        self.wait_for(process, "to close", |what| matches!(what, What::Closed))?;
        // Its standard input stays open until it has ended: the end of it would mean that this process died.
        let (child, _input) =
            self.children.get_mut(&process).ok_or_else(|| format!("{process} is not running"))?;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if Instant::now() >= self.deadline => break Err(format!("{process} does not end")),
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Err(cause) => break Err(format!("cannot wait for {process}: {cause}")),
            }
        }
    }
}

impl Drop for Orchestrator {
    /// No child outlives the demo.
    fn drop(&mut self) {
        for (child, _) in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
