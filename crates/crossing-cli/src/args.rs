//! The one definition of every flag; help and usage errors follow from it.

use crate::net_args::{NetArgs, SocketType};
use crate::units::{parse_duration, parse_rate, parse_size};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::time::Duration;

/// Carries data between processes: shared memory, sockets, message queues.
#[derive(Debug, Parser)]
#[command(name = "crossing", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start real processes, exchange messages by every mechanism, kill one, show what survived
    Demo(DemoArgs),
    #[command(hide = true)]
    DemoRole(RoleArgs),
    /// Shared memory segments: create, write, read, list, inspect, remove
    #[command(subcommand)]
    Shm(ShmCommand),
    /// Send a message to a queue or a socket
    Send(SendArgs),
    /// Receive messages from a queue or a socket
    Recv(RecvArgs),
    /// Publish to a topic: every subscriber receives it
    Pub(PubArgs),
    /// Subscribe to a topic and print what is published
    Sub(SubArgs),
    /// Ask a service once and print its answer
    Call(CallArgs),
    /// Answer requests: send them back, or run a command for each
    Serve(ServeArgs),
    /// Pass connections on from one address to another: tcp: to unix:, tls: to tcp:, any to any
    Proxy(ProxyArgs),
    /// Certificates for development
    #[cfg(feature = "tls")]
    #[command(subcommand)]
    Tls(TlsCommand),
    /// Kernel message queues: create, stat, remove
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Named mutexes, semaphores, events and barriers
    #[command(subcommand)]
    Sync(SyncCommand),
    /// List the named segments of this user
    Ls(LsArgs),
    /// Show what a name is, who owns it and whether the owner lives
    Inspect(InspectArgs),
    /// Remove a name, or everything that dead owners left
    Rm(RmArgs),
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How the sequence diagram is drawn at the end; with mermaid the live report goes to standard error
    #[arg(long, value_enum, default_value_t = DiagramFormat::Text)]
    pub format: DiagramFormat,
    /// Print events, messages and checks as JSON; the live report goes to standard error
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiagramFormat {
    /// Drawn in the terminal
    Text,
    /// Mermaid source
    Mermaid,
}

#[derive(Debug, Args)]
pub struct RoleArgs {
    /// process1, process2 or process3
    pub role: String,
    /// Identifies the run; every name derives from it
    #[arg(long)]
    pub run: String,
    /// Mechanisms whose queues were made; the others are left out
    #[arg(long)]
    pub queue: Vec<String>,
    /// MECHANISM=ENDPOINT where the other process listens
    #[arg(long)]
    pub connect: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum ShmCommand {
    /// Create a segment that stays until it is removed
    Create(ShmCreateArgs),
    /// Write bytes into a segment
    Write(ShmWriteArgs),
    /// Read bytes from a segment
    Read(ShmReadArgs),
    /// List the named segments of this user
    Ls(LsArgs),
    /// Show size, owner and liveness of a segment
    Inspect(InspectArgs),
    /// Remove a segment
    Rm(RmArgs),
}

#[derive(Debug, Args)]
pub struct ShmCreateArgs {
    /// NAME, posix:/NAME, sysv:PATH,PROJ or sysv:0xKEY
    pub name: String,
    /// Size: 64K, 1MiB, 4096
    #[arg(long, value_parser = parse_size)]
    pub size: u64,
    /// Who may open it
    #[arg(long, value_enum, default_value_t = AccessArg::Private)]
    pub access: AccessArg,
    /// Open it if it is there already
    #[arg(long)]
    pub or_open: bool,
    /// Keep it after this command ends (the default, as the command ends at once)
    #[arg(long)]
    pub persist: bool,
    /// Wait for Ctrl-C as its owner, then remove it
    #[arg(long, conflicts_with = "persist")]
    pub hold: bool,
    /// Lock the pages in memory
    #[arg(long)]
    pub mlock: bool,
    /// Ask for huge pages
    #[arg(long)]
    pub huge_pages: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AccessArg {
    /// Only this user
    Private,
    /// The user's group too
    Group,
    /// Everyone on this machine
    World,
}

#[derive(Debug, Args)]
pub struct ShmWriteArgs {
    /// NAME, posix:/NAME, sysv:PATH,PROJ or sysv:0xKEY
    pub name: String,
    /// The bytes; - or nothing reads standard input
    pub data: Option<OsString>,
    /// Where to start, in bytes
    #[arg(long, default_value = "0", value_parser = parse_size)]
    pub offset: u64,
    /// Add a terminating zero byte, for C programs
    #[arg(long)]
    pub cstr: bool,
}

#[derive(Debug, Args)]
pub struct ShmReadArgs {
    /// NAME, posix:/NAME, sysv:PATH,PROJ or sysv:0xKEY
    pub name: String,
    /// Where to start, in bytes
    #[arg(long, default_value = "0", value_parser = parse_size)]
    pub offset: u64,
    /// How many bytes; to the end if left out
    #[arg(long, value_parser = parse_size, conflicts_with = "cstr")]
    pub len: Option<u64>,
    /// Stop at the first zero byte and print a newline
    #[arg(long)]
    pub cstr: bool,
    #[command(flatten)]
    pub shape: Shape,
}

/// How bytes are printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Shape {
    /// Print as hexadecimal
    #[arg(long, conflicts_with = "json")]
    pub hex: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct LsArgs {
    /// Every segment by itself, those of topics' and events' members too
    #[arg(long)]
    pub all: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
    /// Only names that begin with this
    pub prefix: Option<String>,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// NAME of a segment, queue, topic or event; posix:/NAME, mq:/NAME, sysv:PATH,PROJ or sysv:0xKEY
    pub name: String,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RmArgs {
    /// NAME, posix:/NAME, sysv:PATH,PROJ, sysv:0xKEY (segments), mq:/NAME
    #[arg(required_unless_present = "stale")]
    pub name: Option<String>,
    /// Everything whose owner is proven dead
    #[arg(long, conflicts_with = "name")]
    pub stale: bool,
}

#[derive(Debug, Args)]
pub struct SendArgs {
    /// mq:/NAME, tcp:HOST:PORT or unix:PATH
    pub endpoint: String,
    /// The message; - or nothing reads standard input
    pub data: Option<OsString>,
    /// Priority (mq: only); higher is received first
    #[arg(long, short = 'p', default_value_t = 0)]
    pub priority: u32,
    /// How many times to send it
    #[arg(long, short = 'n', default_value_t = 1)]
    pub count: u64,
    /// Give up after: 500ms, 2s, 1m
    #[arg(long, short = 't', value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Bare bytes without frames, for programs that do not use Crossing (sockets only)
    #[arg(long)]
    pub raw: bool,
    /// Wait for the answer and print it (sockets only)
    #[arg(long)]
    pub await_reply: bool,
    /// In a session that survives broken connections; the receiver must have one too (sockets only)
    #[arg(long, conflicts_with = "raw")]
    pub session: bool,
    /// What the socket carries; all but streams on unix: only
    #[arg(long = "type", value_name = "TYPE", value_enum, default_value_t)]
    pub socket_type: SocketType,
    #[command(flatten)]
    pub net: NetArgs,
    #[command(flatten)]
    pub message: MessageArgs,
    #[command(flatten)]
    pub queue: QueueShape,
    #[command(flatten)]
    pub shape: Shape,
}

/// Attributes of a queue that is created on the way.
#[derive(Debug, Clone, Copy, Args)]
pub struct QueueShape {
    /// Create the queue if it is missing (shm: and mq:)
    #[arg(long)]
    pub create: bool,
    #[command(flatten)]
    pub size: QueueSize,
}

/// Limits of a new queue.
#[derive(Debug, Clone, Copy, Args)]
pub struct QueueSize {
    /// Most messages a new queue holds (mq_maxmsg)
    #[arg(long, default_value_t = 10)]
    pub capacity: u64,
    /// Longest message of a new queue (mq_msgsize), bytes
    #[arg(long, default_value = "1024", value_parser = parse_size)]
    pub max_len: u64,
    /// Memory of a new queue for its messages, all together (shm: only)
    #[arg(long, value_parser = parse_size)]
    pub max_bytes: Option<u64>,
    /// How many priorities a new queue has (shm: 1 to 32)
    #[arg(long)]
    pub priorities: Option<u32>,
    /// After how many deliveries a message that is given back becomes a dead letter (shm: only)
    #[arg(long)]
    pub max_deliveries: Option<u32>,
}

/// How a message is treated on its way (queues only, but for `--batch`).
#[derive(Debug, Clone, Args)]
pub struct MessageArgs {
    /// Drop it if nobody received it within: 500ms, 2s, 1m (shm: only)
    #[arg(long, value_parser = parse_duration)]
    pub ttl: Option<Duration>,
    /// Hide it for: 500ms, 2s, 1m (shm: only)
    #[arg(long, value_parser = parse_duration)]
    pub delay: Option<Duration>,
    /// Something that travels with it (shm: only)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_property)]
    pub property: Vec<(String, String)>,
    /// Where the answer is to be sent: an endpoint (shm: only)
    #[arg(long, value_name = "ENDPOINT")]
    pub reply_to: Option<String>,
    /// A number that the answer will carry too (shm: only)
    #[arg(long)]
    pub correlation_id: Option<u64>,
    /// What to do when the queue is full
    #[arg(long, value_enum, default_value = "block")]
    pub overflow: OverflowArg,
    /// Each line of standard input is a message, sent as it comes
    #[arg(long, conflicts_with = "data")]
    pub batch: bool,
}

/// As [`crossing::queue::Overflow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OverflowArg {
    /// Wait for room
    Block,
    /// Drop the oldest message of the lowest priority (shm: only)
    DropOldest,
    /// Give up at once
    Fail,
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[derive(Debug, Args)]
pub struct RecvArgs {
    /// mq:/NAME, tcp:HOST:PORT or unix:PATH
    pub endpoint: String,
    /// How many messages to receive
    #[arg(long, short = 'n', default_value_t = 1)]
    pub count: u64,
    /// Receive until interrupted
    #[arg(long, short = 'f', conflicts_with = "count")]
    pub follow: bool,
    /// Give up when no message comes for: 500ms, 2s, 1m
    #[arg(long, short = 't', value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Bind the address and accept connections (sockets only)
    #[arg(long, short = 'l')]
    pub listen: bool,
    /// Bare bytes without frames: a message is all a connection sends, or with --reply what its first read returns
    #[arg(long)]
    pub raw: bool,
    /// Accept sessions, which survive broken connections (with --listen)
    #[arg(long, conflicts_with = "raw", requires = "listen")]
    pub session: bool,
    /// What the socket carries; all but streams on unix: only
    #[arg(long = "type", value_name = "TYPE", value_enum, default_value_t)]
    pub socket_type: SocketType,
    #[command(flatten)]
    pub net: NetArgs,
    /// Answer each message with this text (sockets only)
    #[arg(long, value_name = "TEXT")]
    pub reply: Option<OsString>,
    /// Print the bytes of the messages only, with no newline between them
    #[arg(long, short = '0', conflicts_with_all = ["json", "hex"])]
    pub raw_output: bool,
    /// Remove the queue afterwards (queues only)
    #[arg(long)]
    pub unlink: bool,
    /// Give the messages back after they were shown (shm: only)
    #[arg(long)]
    pub nack: bool,
    /// The dead letters instead of the living (shm: only)
    #[arg(long)]
    pub dead: bool,
    #[command(flatten)]
    pub queue: QueueShape,
    #[command(flatten)]
    pub shape: Shape,
}

/// In what the members of a topic must agree.
#[derive(Debug, Clone, Copy, Args)]
pub struct TopicTerms {
    /// Publishers wait for the slowest subscriber, instead of dropping the oldest message; the same for all members
    #[arg(long)]
    pub block: bool,
}

#[derive(Debug, Args)]
pub struct PubArgs {
    /// shm:NAME
    pub endpoint: String,
    /// The message; @FILE reads a file, - or nothing standard input
    pub data: Option<OsString>,
    /// How many times to publish it
    #[arg(long, short = 'n', default_value_t = 1)]
    pub count: u64,
    /// Messages a second; as fast as possible unless given
    #[arg(long, value_parser = parse_rate)]
    pub rate: Option<Duration>,
    /// A message of so many bytes instead of DATA
    #[arg(long, value_parser = parse_size, conflicts_with = "data")]
    pub size: Option<u64>,
    /// Each line of standard input is a message, published as it comes
    #[arg(long, conflicts_with_all = ["data", "size"])]
    pub batch: bool,
    /// The longest line of --batch: 1M; 64K unless given
    #[arg(long, value_parser = parse_size)]
    pub max_len: Option<u64>,
    /// Messages that the ring keeps, a power of two
    #[arg(long, default_value_t = 64)]
    pub depth: u32,
    /// Begin when there are so many subscribers
    #[arg(long, default_value_t = 0)]
    pub wait: usize,
    /// Give up after: 500ms, 2s, 1m
    #[arg(long, short = 't', value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub terms: TopicTerms,
}

#[derive(Debug, Args)]
pub struct SubArgs {
    /// shm:NAME
    pub endpoint: String,
    /// How many messages to receive; until interrupted unless given
    #[arg(long, short = 'n')]
    pub count: Option<u64>,
    /// Give up when no message comes for: 500ms, 2s, 1m
    #[arg(long, short = 't', value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Begin with so many older messages of each publisher, as far as there are
    #[arg(long, default_value_t = 0)]
    pub history: u64,
    /// Print how many came each second, instead of the messages
    #[arg(long, conflicts_with_all = ["json", "hex"])]
    pub rate: bool,
    /// Print the bytes of the messages only, with no newline between them
    #[arg(long, short = '0', conflicts_with_all = ["json", "hex"])]
    pub raw_output: bool,
    #[command(flatten)]
    pub terms: TopicTerms,
    #[command(flatten)]
    pub shape: Shape,
}

#[derive(Debug, Args)]
pub struct CallArgs {
    /// shm:NAME, tcp:HOST:PORT, tls:HOST:PORT, unix:PATH or pipe:NAME
    pub endpoint: String,
    /// The request; - or nothing reads standard input
    pub data: Option<OsString>,
    /// Another server of the same service, at a socket; may be given again. The first that is there answers, and with
    /// --count all that are there by turns
    #[arg(long = "or", value_name = "ENDPOINT", conflicts_with = "raw")]
    pub others: Vec<String>,
    /// How many times to ask
    #[arg(long, short = 'n', default_value_t = 1)]
    pub count: u64,
    /// Give up after: 500ms, 2s, 1m; the server is told
    #[arg(long, short = 't', value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Take an answer in parts, and print each as it comes
    #[arg(long, conflicts_with = "raw")]
    pub stream: bool,
    /// The longest answer, or part of one, that is taken (shm:): 64K, 1MiB
    #[arg(long, value_parser = parse_size, default_value = "64K")]
    pub max_len: u64,
    /// Bare bytes: the answer is all that comes until the peer closes, for programs that do not use Crossing
    #[arg(long)]
    pub raw: bool,
    #[command(flatten)]
    pub net: NetArgs,
    #[command(flatten)]
    pub shape: Shape,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct ServeArgs {
    /// shm:NAME, tcp:HOST:PORT, tls:HOST:PORT, unix:PATH or pipe:NAME
    pub endpoint: String,
    /// Send each request back
    #[arg(long, group = "what")]
    pub echo: bool,
    /// Run this command for each request: its input is the request, its output the answer. Takes the rest of the line
    #[arg(long, group = "what", num_args = 1.., allow_hyphen_values = true, value_name = "CMD")]
    pub exec: Vec<OsString>,
    /// Send each line of the command's output by itself, as it comes, to who takes parts (call --stream); before --exec
    #[arg(long, conflicts_with_all = ["raw", "echo"])]
    pub lines: bool,
    /// The longest request that is taken (shm:): 64K, 1MiB
    #[arg(long, value_parser = parse_size, default_value = "64K")]
    pub max_len: u64,
    /// Stop after so many requests (connections with --raw)
    #[arg(long, short = 'n')]
    pub count: Option<u64>,
    /// Give up when nobody asks for: 500ms, 2s, 1m
    #[arg(long, short = 't', value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// How many requests are answered at a time
    #[arg(long, default_value_t = 8)]
    pub workers: usize,
    /// Bare bytes: serve connections of programs that do not use Crossing
    #[arg(long)]
    pub raw: bool,
    #[command(flatten)]
    pub net: NetArgs,
}

#[derive(Debug, Args)]
pub struct ProxyArgs {
    /// Where to listen: tcp:HOST:PORT, tls:HOST:PORT, unix:PATH or pipe:NAME
    pub from: String,
    /// Where to connect: likewise
    pub to: String,
    /// Stop after so many connections
    #[arg(long, short = 'n')]
    pub count: Option<u64>,
    /// Most connections at a time; further ones wait
    #[arg(long, default_value_t = 512)]
    pub max_connections: u64,
    /// How long connecting may take
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub connect_timeout: Duration,
    #[command(flatten)]
    pub net: NetArgs,
}

#[cfg(feature = "tls")]
#[derive(Debug, Subcommand)]
pub enum TlsCommand {
    /// Make an authority, and certificates of it for a server and a client
    DevCert(DevCertArgs),
}

#[cfg(feature = "tls")]
#[derive(Debug, Args)]
pub struct DevCertArgs {
    /// Directory to make and write them into
    pub directory: std::path::PathBuf,
    /// Host name or IP address of the server, may be given again; localhost, 127.0.0.1 and ::1 unless given
    #[arg(long)]
    pub name: Vec<String>,
    /// How many days they are valid
    #[arg(long, default_value_t = 30)]
    pub days: u32,
}

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Create a queue
    Create {
        /// shm:NAME or mq:/NAME
        endpoint: String,
        #[command(flatten)]
        size: QueueSize,
    },
    /// Show attributes and how many messages wait
    Stat {
        /// shm:NAME, mq:/NAME, sysv:PATH,PROJ or sysv:0xKEY
        endpoint: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show messages without receiving them (shm: only)
    Browse {
        /// shm:NAME
        endpoint: String,
        /// How many at most
        #[arg(long, short = 'n', default_value_t = 100)]
        count: usize,
        /// Print as JSON, one line a message
        #[arg(long)]
        json: bool,
    },
    /// Drop every message that waits, and print how many
    Purge {
        /// shm:NAME, mq:/NAME, sysv:PATH,PROJ or sysv:0xKEY
        endpoint: String,
    },
    /// Remove a queue
    Rm {
        /// mq:/NAME
        endpoint: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum SyncCommand {
    /// Run a command while holding a named mutex
    Mutex {
        /// Name of the mutex
        name: String,
        /// Give up waiting after: 500ms, 2s, 1m
        #[arg(long, short = 't', value_parser = parse_duration)]
        timeout: Option<Duration>,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Counting semaphores; also posix:/NAME and sysv:PATH,PROJ, sysv:0xKEY
    #[command(subcommand)]
    Semaphore(SemaphoreCommand),
    /// Events that stay set until reset
    #[command(subcommand)]
    Event(EventCommand),
    /// Wait until N processes have arrived
    Barrier {
        /// Name of the barrier
        name: String,
        /// How many processes meet
        #[arg(long)]
        parties: u32,
        /// Give up waiting after: 500ms, 2s, 1m
        #[arg(long, short = 't', value_parser = parse_duration)]
        timeout: Option<Duration>,
    },
}

#[derive(Debug, Subcommand)]
pub enum SemaphoreCommand {
    /// Create it
    Create {
        /// Name of the semaphore
        name: String,
        /// Permits at the start
        #[arg(long, default_value_t = 0)]
        value: u32,
    },
    /// Add a permit
    Post {
        /// Name of the semaphore
        name: String,
        /// How many permits
        #[arg(long, short = 'n', default_value_t = 1)]
        count: u32,
    },
    /// Take a permit, waiting for it
    Wait {
        /// Name of the semaphore
        name: String,
        /// Give up waiting after: 500ms, 2s, 1m
        #[arg(long, short = 't', value_parser = parse_duration)]
        timeout: Option<Duration>,
    },
    /// Print how many permits there are
    Value {
        /// Name of the semaphore
        name: String,
    },
    /// Remove it
    Rm {
        /// Name of the semaphore
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Set it, waking every waiter
    Set {
        /// Name of the event
        name: String,
    },
    /// Reset it
    Reset {
        /// Name of the event
        name: String,
    },
    /// Wait until it is set
    Wait {
        /// Name of the event
        name: String,
        /// Give up waiting after: 500ms, 2s, 1m
        #[arg(long, short = 't', value_parser = parse_duration)]
        timeout: Option<Duration>,
    },
}
