//! Events: wake-ups with ids and no payload, from many notifiers to many waiters, in any process.
//!
//! # Protocol
//! A member has one segment: `event/NAME/wait-N` or `event/NAME/note-N`, with its bell; a waiter's has its ids, too. Who
//! joins makes its own first, then looks for the others and tells their bells; so of two that join at once, at least one
//! sees the other, and tells it. A notification reaches the waiters that are there; it is not kept for later ones.

use crate::options::MAX_NAME_LEN;
use crossing_ring::broadcast::{EVENT_IDS, EVENT_LEN, EventBell, EventSet};
use crossing_shm::{Segment, registry};
use crossing_sync::Until;
use crossing_sys::file::Access;
use crossing_sys::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};

#[path = "event_poll.rs"]
mod poll;

const SCHEMA: u64 = u64::from_le_bytes(*b"event\0\0\x01");
/// How long a waiter sleeps before it looks by itself.
const SLICE: Duration = Duration::from_millis(100);
pub(crate) const WAITER: &str = "wait";
pub(crate) const NOTIFIER: &str = "note";

/// The group of the registry in which its members' names are.
pub(crate) fn group(event: &str) -> String {
    format!("event/{event}")
}

pub(crate) fn open_read_only(name: &str) -> Result<Segment> {
    Segment::options().schema(SCHEMA).read_only(true).open(name)
}

/// An event by name: it exists where a notifier or a waiter does.
///
/// ```
/// use crossing_bus::Event;
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("doc-event-{}", std::process::id());
/// let event = Event::options().open(&name)?;
/// let mut waiter = event.waiter()?; // in this process or any other
/// let mut notifier = event.notifier()?;
/// notifier.notify(3)?;
/// notifier.notify(700)?;
/// let ids = waiter.wait_timeout(Duration::from_secs(5))?.expect("notified");
/// assert_eq!(ids.iter().collect::<Vec<_>>(), [3, 700]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Event {
    name: String,
    access: Access,
}

/// How an event is opened.
#[derive(Debug, Clone)]
pub struct EventOptions {
    access: Access,
}

impl Event {
    /// How many ids there are: 0 to this less one.
    pub const IDS: u32 = EVENT_IDS;

    /// Options to open an event with.
    #[must_use]
    pub fn options() -> EventOptions {
        EventOptions { access: Access::Private }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new waiter, which sees what is notified from now on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn waiter(&self) -> Result<Waiter> {
        let me = Member::join(self, WAITER)?;
        me.tell(NOTIFIER);
        let news = me.bell.bell().news();
        Ok(Waiter { me, news })
    }

    /// A new notifier.
    ///
    /// # Errors
    /// The operating system's.
    pub fn notifier(&self) -> Result<Notifier> {
        let me = Member::join(self, NOTIFIER)?;
        let mut notifier = Notifier { waiters: Vec::new(), news: 0, me };
        notifier.check()?;
        Ok(notifier)
    }
}

impl EventOptions {
    /// Who may join.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The event `name`, which may or may not have members already.
    ///
    /// # Errors
    /// `ApiMisuse` for a bad name.
    pub fn open(self, name: &str) -> Result<Event> {
        if name.is_empty() || name.len() > MAX_NAME_LEN {
            return Err(Error::new(ErrorKind::ApiMisuse, "open event", name)
                .detail(format!("a name of {} bytes", name.len()))
                .fix(format!("use 1 to {MAX_NAME_LEN} bytes")));
        }
        Ok(Event { name: name.to_owned(), access: self.access })
    }
}

/// This process as a member. Its segment is owned: it goes with this.
#[derive(Debug)]
struct Member {
    event: String,
    bell: EventBell,
    _segment: Segment,
}

fn open(name: &str) -> Result<(Segment, EventBell)> {
    let segment = Segment::options().schema(SCHEMA).open(name)?;
    let bell = EventBell::open(&segment)?;
    Ok((segment, bell))
}

/// Removes what the dead left. What others still have open is removed by the last of them, or by who looks next.
fn tidy(dead: &[String]) {
    for name in dead {
        let _ = registry::remove(name);
    }
}

impl Member {
    fn join(event: &Event, role: &str) -> Result<Self> {
        for _ in 0..16 {
            let random = crossing_sys::process::random_identity()
                .map_err(|cause| Error::os(cause, "open event", format!("shm:{}", event.name)))?;
            let number = u32::from_le_bytes([random[0], random[1], random[2], random[3]]);
            let name = format!("event/{}/{role}-{number:08x}", event.name);
            let mut options = Segment::options();
            options.size(EVENT_LEN).schema(SCHEMA).access(event.access);
            match options.create(&name) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                segment => {
                    let segment = segment?;
                    let bell = EventBell::open(&segment)?;
                    return Ok(Self { event: event.name.clone(), bell, _segment: segment });
                }
            }
        }
        Err(Error::new(ErrorKind::LimitReached, "open event", format!("shm:{}", event.name))
            .detail("16 random numbers were all taken"))
    }

    /// The living members of a role, and the names that the dead of any role left.
    fn others(&self, role: &str) -> Result<(Vec<String>, Vec<String>)> {
        let (mut living, mut dead) = (Vec::new(), Vec::new());
        for entry in registry::list_in(&group(&self.event))? {
            let of = entry.name.rsplit('/').next().and_then(|member| member.split_once('-')).map(|it| it.0);
            if !entry.owned {
                dead.push(entry.name);
            } else if entry.schema == SCHEMA && of == Some(role) {
                living.push(entry.name);
            }
        }
        Ok((living, dead))
    }

    /// Tells the others of a role that this one came or goes. One that cannot be told finds out by itself.
    fn tell(&self, role: &str) {
        let (living, dead) = self.others(role).unwrap_or_default();
        tidy(&dead);
        for name in living {
            if let Ok((_segment, bell)) = open(&name) {
                bell.bell().tell();
            }
        }
    }

    fn forked(&self) -> Option<Error> {
        self.bell.bell().is_forked().then(|| {
            Error::new(ErrorKind::ApiMisuse, "use event", format!("shm:{}", self.event))
                .detail("it was opened before fork")
                .fix("let the child open the event itself")
        })
    }
}

/// Notifies the waiters of an event.
#[derive(Debug)]
pub struct Notifier {
    // Dropped before its own segment: the bells of others.
    waiters: Vec<(String, EventBell, Segment)>,
    news: u32,
    me: Member,
}

impl Notifier {
    /// Notifies all waiters of `id`: those that sleep are woken, by one system call each; for the others there is none. An
    /// id that a waiter has not taken yet stays one.
    ///
    /// # Errors
    /// `ApiMisuse` for an id beyond [`Event::IDS`]; `Os` errors of looking for new waiters.
    #[inline]
    pub fn notify(&mut self, id: u32) -> Result<()> {
        if let Some(error) = self.me.forked() {
            return Err(error);
        }
        if id >= EVENT_IDS {
            return Err(Error::new(ErrorKind::ApiMisuse, "notify event", format!("shm:{}", self.me.event))
                .detail(format!("the id {id}"))
                .fix(format!("use 0 to {}", EVENT_IDS - 1)));
        }
        if self.me.bell.bell().news() != self.news {
            self.check()?;
        }
        for (_, waiter, _) in &self.waiters {
            waiter.notify(id);
        }
        Ok(())
    }

    /// Looks who is there, and forgets the dead. Done by itself when a waiter comes or goes.
    ///
    /// # Errors
    /// The operating system's.
    pub fn check(&mut self) -> Result<()> {
        self.news = self.me.bell.bell().news();
        let (living, dead) = self.me.others(WAITER)?;
        self.waiters.retain(|(name, ..)| living.contains(name));
        tidy(&dead);
        for name in living {
            if self.waiters.iter().all(|(known, ..)| *known != name)
                && let Ok((segment, bell)) = open(&name)
            {
                self.waiters.push((name, bell, segment));
            }
        }
        Ok(())
    }

    /// How many waiters there are, as far as this notifier knows.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.waiters.len()
    }

    /// Sleeps until a waiter came or went, or until `deadline`; it may also end early.
    ///
    /// # Errors
    /// The operating system's.
    pub fn await_news(&mut self, deadline: Option<Instant>) -> Result<()> {
        let slice = Instant::now() + SLICE;
        self.me.bell.wait(self.news, Some(deadline.map_or(slice, |deadline| deadline.min(slice))));
        self.check()
    }
}

/// Waits for the notifications of an event.
#[derive(Debug)]
pub struct Waiter {
    me: Member,
    news: u32,
}

impl Waiter {
    /// The ids that were notified since they were last taken, without waiting; `None` if there are none.
    ///
    /// # Errors
    /// `ApiMisuse` in a forked child.
    #[inline]
    pub fn try_wait(&mut self) -> Result<Option<EventSet>> {
        if let Some(error) = self.me.forked() {
            return Err(error);
        }
        let ids = self.me.bell.take();
        Ok((!ids.is_empty()).then_some(ids))
    }

    /// Waits for ids.
    ///
    /// # Errors
    /// As [`try_wait`](Self::try_wait).
    pub fn wait(&mut self) -> Result<EventSet> {
        loop {
            if let Some(ids) = self.wait_until(Until::Never)? {
                return Ok(ids);
            }
        }
    }

    /// Waits for ids at most `timeout`; `None` if none came.
    ///
    /// # Errors
    /// As [`try_wait`](Self::try_wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<EventSet>> {
        self.wait_until(Until::after(timeout))
    }

    /// Waits for ids at most until `deadline`; `None` if none came.
    ///
    /// # Errors
    /// As [`try_wait`](Self::try_wait).
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<Option<EventSet>> {
        self.wait_until(Until::At(deadline))
    }

    fn wait_until(&mut self, until: Until) -> Result<Option<EventSet>> {
        loop {
            if let Some(ids) = self.try_wait()? {
                return Ok(Some(ids));
            }
            if until.passed() {
                return Ok(None);
            }
            // A waiter has no news to look at; it only must not be kept awake by them.
            self.news = self.me.bell.bell().news();
            let slice = Instant::now() + SLICE;
            let deadline = if let Until::At(at) = until { at.min(slice) } else { slice };
            self.me.bell.wait(self.news, Some(deadline));
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if !self.me.bell.bell().is_forked() {
            self.me.tell(NOTIFIER);
        }
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
