//! The demo: real processes, real messages, a real kill, and a drawing of what happened.

mod check;
mod diagram;
mod event;
mod names;
mod orchestrator;
mod payload;
mod report;
mod roads;
mod role;
mod sockets;

use crate::args::{DemoArgs, DiagramFormat, RoleArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{write_bytes, write_json};
use check::{Carried, Check};
use crossing::ErrorKind;
use crossing::process::{kill_name, looks_killed, monotonic_nanos};
use event::{Event, Process, Through};
use names::Names;
use orchestrator::{Orchestrator, WATCHDOG};
use report::Report;
use roads::{Given, POOL_CHUNKS, Stage};
use serde::Serialize;
use std::time::Duration;

/// Messages each way through each mechanism, before the kill.
const ROUNDS: u32 = 3;

#[derive(Serialize)]
struct Data<'a> {
    run: &'a str,
    ok: bool,
    total_ns: u64,
    messages: Vec<Carried>,
    checks: &'a [Check],
    events: &'a [Event],
}

/// `crossing demo`.
pub fn run(args: &DemoArgs) -> Outcome {
    let start_ns = monotonic_nanos();
    let quiet = args.json || args.format == DiagramFormat::Mermaid;
    let report = Report::new(quiet, start_ns);
    let names = Names::new();
    watchdog();
    report.line(&format!("Crossing demo, run {}", names.run()));
    for line in names::reclaim_leftovers() {
        report.line(&line);
    }
    let (events, checks) = perform(&names, report);
    let ok = checks.iter().all(|check| check.ok);
    let total_ns = monotonic_nanos().saturating_sub(start_ns);
    let steps = diagram::steps(&events, start_ns);
    if args.json {
        let messages = check::carried(&events);
        write_json(&Data { run: names.run(), ok, total_ns, messages, checks: &checks, events: &events })?;
    } else if quiet {
        write_bytes(diagram::mermaid(&steps).as_bytes())?;
    } else {
        if !steps.is_empty() {
            let drawing = diagram::draw(&steps, terminal_width());
            write_bytes(format!("\nWhat was really sent:\n\n{drawing}\n").as_bytes())?;
        }
        write_bytes(verdict(&checks, total_ns).as_bytes())?;
    }
    if ok {
        return Ok(Exit::Success);
    }
    let failed: Vec<String> = checks
        .iter()
        .filter(|check| !check.ok)
        .map(|check| format!("{} ({})", check.name, check.seen))
        .collect();
    Err(Failure::failed(format!("the demo failed; not true: {}", failed.join("; not true: "))))
}

/// `crossing demo-role`, which only the demo calls.
pub fn role(args: &RoleArgs) -> Outcome {
    let process = match args.role.as_str() {
        "process1" => Process::Process1,
        "process2" => Process::Process2,
        "process3" => Process::Process3,
        other => return Err(Failure::usage(format!("no role \"{other}\""))),
    };
    let names = Names::of(&args.run).map_err(Failure::usage)?;
    let mut given = Given::default();
    for text in &args.queue {
        given.queues.push(text.parse().map_err(Failure::usage)?);
    }
    for text in &args.connect {
        let (through, endpoint) = text
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("\"{text}\" is no MECHANISM=ENDPOINT")))?;
        given.connect.push((through.parse().map_err(Failure::usage)?, endpoint.to_owned()));
    }
    match role::play(process, &names, &given) {
        Ok(()) => Ok(Exit::Success),
        Err(()) => Ok(Exit::Failure),
    }
}

/// Ends this process if the demo hangs; its children end with it, as their standard input closes.
fn watchdog() {
    std::thread::spawn(|| {
        std::thread::sleep(WATCHDOG + Duration::from_secs(5));
        eprintln!("crossing: the demo hangs; giving up");
        std::process::exit(1);
    });
}

/// Runs all phases. Whatever fails is one of the checks.
fn perform(names: &Names, report: Report) -> (Vec<Event>, Vec<Check>) {
    let stage = match Stage::set(names) {
        Ok(stage) => stage,
        Err(text) => {
            report.line(&format!("FAILED: {text}"));
            return (Vec::new(), vec![Check::new("the demo's segment and queues were created", false, text)]);
        }
    };
    let mut checks = Vec::new();
    let mut left_out = Vec::new();
    let mut roads = vec![Through::SharedMemory, Through::Socket, Through::TcpFramed, Through::TcpRaw];
    let mut queues = Vec::new();
    for (through, problem) in stage.queues() {
        let Some(problem) = problem else {
            queues.push(through);
            continue;
        };
        left_out.push(format!("{through} is left out: {problem}"));
        // A system without queues of its own is no failure; queues that could not be made are.
        let excused = through == Through::MessageQueue && problem.kind() == ErrorKind::Unsupported;
        let name = format!("{through} works, or this system has none");
        checks.push(Check::new(name, excused, problem.to_string()));
    }
    roads.extend(&queues);
    let mut demo = Orchestrator::new(names.run(), queues, report);
    if let Err(text) = phases(&mut demo, &roads, &left_out, &mut checks) {
        demo.report.line(&format!("FAILED: {text}"));
        checks.push(Check::new("every phase ran to its end", false, text));
    }
    let rounds = |through| ROUNDS as usize + usize::from(through == Through::SharedMemory);
    let expected: Vec<_> = roads.iter().map(|&through| (through, 2 * rounds(through))).collect();
    let events = std::mem::take(&mut demo.events);
    checks.splice(0..0, check::messages(&events, &expected));
    checks.extend(check::peers(&events));
    checks.extend(check::recovery(&events, POOL_CHUNKS));
    drop(demo);
    drop(stage);
    checks.extend(names::leftovers(names));
    // Only after a failure is there anything to remove: who listens removes it.
    names.remove_socket();
    (events, checks)
}

fn phases(
    demo: &mut Orchestrator,
    roads: &[Through],
    left_out: &[String],
    checks: &mut Vec<Check>,
) -> Result<(), String> {
    demo.report.heading("1. Two processes exchange messages");
    demo.start(Process::Process2)?;
    demo.start(Process::Process1)?;
    for through in roads {
        demo.exchange(&format!("exchange {through} 1 {ROUNDS}"))?;
    }
    for text in left_out {
        demo.report.line(&format!("  {text}"));
    }

    demo.report.heading("2. A process is killed while it holds the mutex and a loan");
    demo.start(Process::Process3)?;
    demo.tell(Process::Process2, "contend")?;
    demo.wait_for(Process::Process2, "to wait", |what| matches!(what, event::What::Waiting))?;
    // Process2 should be asleep on the mutex by now: being woken by a death is what is shown.
    std::thread::sleep(Duration::from_millis(50));
    let status = demo.kill(Process::Process3)?;
    checks.push(Check::new(
        format!("Process3 died by {}, not by its own doing", kill_name()),
        looks_killed(status) && !demo.has_failed(Process::Process3),
        status.to_string(),
    ));
    demo.wait_for(Process::Process2, "to recover", |what| matches!(what, event::What::Reclaimed { .. }))?;
    demo.wait_for(Process::Process2, "to go on", |what| matches!(what, event::What::ExchangeDone))?;
    let next = ROUNDS + 1;
    demo.exchange(&format!("exchange SharedMemory {next} {next}"))?;

    demo.report.heading("3. Everything closes");
    for process in [Process::Process1, Process::Process2] {
        let status = demo.finish(process)?;
        checks.push(Check::new(format!("{process} ended well"), status.success(), status.to_string()));
    }
    Ok(())
}

fn verdict(checks: &[Check], total_ns: u64) -> String {
    let mut text = String::from("Checked:\n");
    for check in checks {
        let mark = if check.ok { "ok    " } else { "FAILED" };
        text.push_str(&format!("  {mark}  {}: {}\n", check.name, check.seen));
    }
    let failed = checks.iter().filter(|check| !check.ok).count();
    let took = crate::units::show_nanos(total_ns);
    match failed {
        0 => text.push_str(&format!("\nEvery message arrived and nothing was left behind, in {took}.\n")),
        count => text.push_str(&format!("\n{count} of {} checks failed, in {took}.\n", checks.len())),
    }
    text
}

fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(120, |(terminal_size::Width(width), _)| usize::from(width))
}
