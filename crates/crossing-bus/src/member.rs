//! Members of a topic: how they join, find each other, and how what the dead left goes away.
//!
//! # Protocol
//! A member has a random number and two segments: `topic/NAME/bell-N`, made first, and `topic/NAME/pub-N` or
//! `topic/NAME/sub-N`, whose header says who owns the bell. Then it looks who else is there, and tells their bells. So
//! of two members that join at once, at least one sees the other, and tells it.
//!
//! A subscriber begins with publishers that it finds at its first look at their present position (less the history),
//! with those that it finds later at their first message: they came after it. A publisher that blocks takes a subscriber
//! that has not begun with it yet as one that has read nothing since it was found.
//!
//! Death: the locks in the segments are released by the kernel. Bells and cursors of the dead are removed by whoever
//! looks next. The ring of a dead publisher is removed when every living subscriber has read it to the end: until then
//! its name is what subscribers find it by.

use crate::options::Terms;
use crossing_ring::broadcast::{
    BELL_LEN, Bell, Cursors, CursorsHeader, PeerCursors, RingHeader, RingReader, RingWriter, Shape,
    cursors_len,
};
use crossing_shm::Segment;
use crossing_shm::registry::{self, Glance};
use crossing_sync::ParticipantId;
use crossing_sys::{Error, ErrorKind, Result, crash};
use zerocopy::IntoBytes;

const BELL_SCHEMA: u64 = u64::from_le_bytes(*b"bell\0\0\0\x01");
const RING_SCHEMA: u64 = u64::from_le_bytes(*b"topic\0\0\x01");
const CURSORS_SCHEMA: u64 = u64::from_le_bytes(*b"cursor\0\x01");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher,
    Subscriber,
    Bell,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Publisher => "pub",
            Self::Subscriber => "sub",
            Self::Bell => "bell",
        }
    }

    /// The role of that word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Publisher, Self::Subscriber, Self::Bell].into_iter().find(|role| role.word() == word)
    }

    fn schema(self) -> u64 {
        match self {
            Self::Publisher => RING_SCHEMA,
            Self::Subscriber => CURSORS_SCHEMA,
            Self::Bell => BELL_SCHEMA,
        }
    }
}

/// The group of the registry in which its members' names are.
pub(crate) fn group(topic: &str) -> String {
    format!("topic/{topic}")
}

fn name(topic: &str, role: Role, number: u32) -> String {
    format!("topic/{topic}/{}-{number:08x}", role.word())
}

/// The role and the number of the member of `topic` whose segment has that name.
pub(crate) fn parse(topic: &str, segment: &str) -> Option<(Role, u32)> {
    let (word, number) = segment.strip_prefix(&group(topic))?.strip_prefix('/')?.split_once('-')?;
    let number = u32::from_str_radix(number, 16).ok().filter(|_| number.len() == 8)?;
    Some((Role::of(word)?, number))
}

/// A name that was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) role: Role,
    pub(crate) number: u32,
    pub(crate) stale: bool,
}

/// Who is there, or was. Whom `is_known` says it knows to live is not looked at: that would cost several system calls.
pub(crate) fn look(topic: &str, is_known: impl Fn(u32) -> bool) -> Result<Vec<Found>> {
    let see = |name: String| {
        let (role, number) = parse(topic, &name)?;
        if is_known(number) {
            return Some(Found { role, number, stale: false });
        }
        // If not: gone meanwhile, or not complete yet.
        let Glance { schema, stale } = registry::glance(&name).ok()?;
        (schema == role.schema() || stale).then_some(Found { role, number, stale })
    };
    Ok(registry::names_in(&group(topic))?.into_iter().filter_map(see).collect())
}

/// This process as a member. What it made goes when it is dropped: the segments are owned.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) topic: String,
    pub(crate) key: u64,
    pub(crate) bell: Bell,
    // Dropped in this order: found by this one first.
    data: Segment,
    _bell: Segment,
}

impl Home {
    fn join(
        topic: &str,
        terms: &Terms,
        role: Role,
        make: impl Fn(u64, ParticipantId) -> Result<Content>,
    ) -> Result<Self> {
        let about = |error: Error| error.about(format!("shm:{topic}"));
        for _ in 0..16 {
            let random = crossing_sys::process::random_identity()
                .map_err(|cause| Error::os(cause, "open topic", format!("shm:{topic}")))?;
            let key = random.iter().fold(1_u64, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte)).max(1);
            let number = key as u32;
            let mut options = Segment::options();
            options.size(BELL_LEN).schema(BELL_SCHEMA).access(terms.access);
            let bell_segment = match options.create(&name(topic, Role::Bell, number)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            crash::point("topic.join.bell-made");
            let bell = Bell::open(&bell_segment)?;
            let Content { size, bytes } = make(key, bell.me()).map_err(about)?;
            let mut options = Segment::options();
            options.size(size).schema(role.schema()).content(&bytes).access(terms.access);
            match options.create(&name(topic, role, number)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                data => {
                    crash::point("topic.join.data-made");
                    return Ok(Self { topic: topic.to_owned(), key, bell, data: data?, _bell: bell_segment });
                }
            }
        }
        Err(Error::new(ErrorKind::LimitReached, "open topic", format!("shm:{topic}"))
            .detail("16 random numbers were all taken"))
    }

    pub(crate) fn publish(topic: &str, terms: &Terms) -> Result<(Self, RingWriter)> {
        let home = Self::join(topic, terms, Role::Publisher, |key, bell| {
            let asymmetric = crossing_sys::asymmetric::register();
            let header = RingHeader::new(terms.figures, terms.shape, key, bell, asymmetric)?;
            let size = usize::try_from(header.total_len()).unwrap_or(usize::MAX);
            Ok(Content { size, bytes: header.as_bytes().to_vec() })
        })?;
        let ring = RingWriter::open(&home.data)?;
        Ok((home, ring))
    }

    pub(crate) fn subscribe(topic: &str, terms: &Terms) -> Result<(Self, Cursors)> {
        let home = Self::join(topic, terms, Role::Subscriber, |key, bell| {
            let header = CursorsHeader::new(terms.shape, key, bell, terms.figures.max_borrowed);
            Ok(Content { size: cursors_len(), bytes: header.as_bytes().to_vec() })
        })?;
        let cursors = Cursors::open(&home.data, home.bell.alive())?;
        Ok((home, cursors))
    }

    /// Whether that number is this one's.
    pub(crate) fn is_me(&self, number: u32) -> bool {
        self.key as u32 == number
    }

    /// What a forked child is told.
    #[cold]
    pub(crate) fn forked(&self) -> Error {
        Error::new(ErrorKind::ApiMisuse, "use topic", format!("shm:{}", self.topic))
            .detail("it was opened before fork")
            .fix("let the child open the topic itself")
    }
}

struct Content {
    size: usize,
    bytes: Vec<u8>,
}

pub(crate) fn open_data(topic: &str, role: Role, number: u32) -> Result<Segment> {
    Segment::options().schema(role.schema()).read_only(true).open(&name(topic, role, number))
}

fn open_bell(topic: &str, number: u32) -> Result<(Segment, Bell)> {
    let segment = Segment::options().schema(BELL_SCHEMA).open(&name(topic, Role::Bell, number))?;
    let bell = Bell::open(&segment)?;
    Ok((segment, bell))
}

/// Another member's bell, and who must live for it to live.
#[derive(Debug)]
pub(crate) struct PeerBell {
    bell: Bell,
    owner: ParticipantId,
    _segment: Segment,
}

impl PeerBell {
    fn open(topic: &str, number: u32, owner: Option<ParticipantId>) -> Option<Self> {
        let owner = owner?;
        let (segment, bell) = open_bell(topic, number).ok()?;
        Some(Self { bell, owner, _segment: segment })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.bell.is_owner_alive(self.owner)
    }

    #[inline]
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    pub(crate) fn tell(&self) {
        self.bell.tell();
    }

    /// Says to a publisher that somebody will sleep.
    pub(crate) fn want(&self) {
        self.bell.want();
    }
}

/// A subscriber, as a publisher knows it.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) number: u32,
    pub(crate) cursors: PeerCursors,
    pub(crate) bell: PeerBell,
    /// Where the publisher was when it found the subscriber.
    pub(crate) found_at: u64,
    pub(crate) hint: usize,
    /// It was told that it may read in place.
    pub(crate) admitted: bool,
    /// It takes no more, by its own will.
    pub(crate) left: bool,
    _segment: Segment,
}

impl Reader {
    /// `Ok(None)`: it is gone, or none that can be waited for.
    pub(crate) fn open(topic: &str, number: u32, shape: &Shape, found_at: u64) -> Result<Option<Self>> {
        let Ok(segment) = open_data(topic, Role::Subscriber, number) else { return Ok(None) };
        let Ok(cursors) = PeerCursors::open(&segment) else { return Ok(None) };
        if cursors.header().key() as u32 != number {
            return Ok(None);
        }
        let Some(bell) = PeerBell::open(topic, number, cursors.header().bell_owner()) else {
            return Ok(None);
        };
        agree(topic, shape, &cursors.header().shape(), cursors.header().pid())?;
        Ok(Some(Self {
            number,
            cursors,
            bell,
            found_at,
            hint: 0,
            admitted: false,
            left: false,
            _segment: segment,
        }))
    }
}

/// So many looks in vain, and twice the ring's depth, are too many.
const VAIN: u64 = 64;

/// A publisher, as a subscriber knows it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) number: u32,
    pub(crate) ring: RingReader,
    /// `None`: the publisher died before it was found.
    pub(crate) bell: Option<PeerBell>,
    /// The index of its entry in the cursors.
    pub(crate) entry: usize,
    /// The next message to read.
    pub(crate) next: u64,
    /// Messages overwritten since the last one that was received.
    pub(crate) missed: u64,
    /// Messages that were lost so far.
    pub(crate) lost: u64,
    /// Whether messages were read since the publisher was last told.
    pub(crate) owed: bool,
    /// It is known that it left or died.
    pub(crate) gone: bool,
    /// The publisher's number.
    pub(crate) key: u64,
    /// How often in a row there was no message where one seemed to be: so far beyond the oldest one goes on that was overtaken.
    pub(crate) hurry: u64,
    /// Its memory does not change any more, and has no message but pretends to have some.
    pub(crate) hollow: bool,
    /// Messages before this one are complete, by what the publisher last said.
    known: u64,
    /// Whether what it says of that is to be checked first: it is dead, or has lied.
    doubt: bool,
    _segment: Segment,
}

impl Source {
    /// `Ok(None)`: it is gone, or no ring.
    pub(crate) fn open(topic: &str, number: u32, shape: &Shape) -> Result<Option<Self>> {
        let Ok(segment) = open_data(topic, Role::Publisher, number) else { return Ok(None) };
        let Ok(ring) = RingReader::open(&segment) else { return Ok(None) };
        if ring.header().key() as u32 != number {
            return Ok(None);
        }
        agree(topic, shape, &ring.header().shape(), ring.header().pid())?;
        let bell = PeerBell::open(topic, number, ring.header().bell_owner());
        Ok(Some(Self {
            number,
            key: ring.header().key(),
            hurry: 0,
            hollow: false,
            known: 0,
            doubt: false,
            ring,
            bell,
            entry: 0,
            next: 0,
            missed: 0,
            lost: 0,
            owed: false,
            gone: false,
            _segment: segment,
        }))
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.bell.as_ref().is_some_and(PeerBell::is_alive)
    }

    /// Whether there is something, as far as it knows already.
    #[inline]
    pub(crate) fn has_known(&self) -> bool {
        self.next < self.known
    }

    /// How many messages it knows to be there.
    #[inline]
    pub(crate) fn known_ahead(&self) -> u64 {
        self.known.saturating_sub(self.next)
    }

    /// Whether there is something. It looks at the ring's tail and not at the next slot, which the publisher is about to
    /// write: so it learns of several messages at once, and keeps no line from the publisher that it does not need.
    #[inline]
    pub(crate) fn is_ready(&mut self) -> bool {
        if self.next < self.known {
            return true;
        }
        if self.doubt {
            return self.is_ready_now();
        }
        self.known = self.ring.told();
        if self.next < self.known {
            return true;
        }
        // What came since then, if the publisher goes on so slowly that nothing is told.
        self.known = self.ring.end_after(self.next);
        self.next < self.known
    }

    /// Whether there is something, by a look at the next slot: the first to show it.
    #[inline]
    pub(crate) fn is_ready_now(&mut self) -> bool {
        if self.next < self.known {
            return true;
        }
        let ready = !self.hollow && self.ring.has(self.next);
        if ready {
            self.known = self.next.saturating_add(1);
        }
        ready
    }

    /// Whether it had no message where one seemed to be more often in a row than an honest one has, whose reader is overtaken now
    /// and then. One that cannot change any more is not looked at again.
    pub(crate) fn is_vain(&mut self) -> bool {
        let depth = u64::from(self.ring.depth());
        let vain = self.hurry > 2 * depth + VAIN;
        if vain {
            self.hollow |= self.gone;
            self.hurry = depth;
            self.known = 0;
        }
        vain
    }

    /// Whether there is something yet to be read.
    pub(crate) fn has_more(&self) -> bool {
        !self.hollow && self.ring.has(self.next)
    }

    /// What it says of how much is complete is not so, or it is dead and may not have said everything.
    pub(crate) fn doubt(&mut self) {
        self.doubt = true;
        self.known = 0;
    }

    /// Whether an eighth of the ring was read since the last such position.
    #[inline]
    pub(crate) fn is_eighth(&self) -> bool {
        // A power of two.
        self.next & u64::from((self.ring.depth() / 8).max(1) - 1) == 0
    }

    /// So many are lost.
    pub(crate) fn miss(&mut self, count: u64) {
        self.missed = self.missed.saturating_add(count);
        self.lost = self.lost.saturating_add(count);
    }

    /// The next message was overwritten: on to the oldest that is left; further if that is overwritten as fast as we look.
    #[cold]
    pub(crate) fn pass(&mut self) {
        self.hurry += 1;
        let hurry = self.hurry.min(u64::from(self.ring.depth()));
        let next = self.ring.oldest().saturating_add(hurry - 1).max(self.next.saturating_add(1));
        self.miss(next - self.next);
        self.next = next;
    }

    /// Wakes the publisher if it waits for its messages to be read.
    #[inline]
    pub(crate) fn settle(&mut self) {
        self.owed = false;
        self.hurry = 0;
        if let Some(bell) = &self.bell {
            crossing_ring::broadcast::settle();
            bell.ring();
        }
    }
}

fn agree(topic: &str, mine: &Shape, other: &Shape, pid: u32) -> Result<()> {
    if mine == other {
        return Ok(());
    }
    let say = |shape: &Shape| {
        let size = if shape.size == u32::MAX { "bytes".to_owned() } else { format!("size {}", shape.size) };
        let overflow = crate::options::Overflow::word(shape.overflow);
        format!("schema {:#x}, {size}, alignment {}, overflow {overflow}", shape.schema, shape.align)
    };
    Err(Error::new(ErrorKind::Incompatible, "open topic", format!("shm:{topic}"))
        .detail(format!("process {pid} uses it with {}; this one with {}", say(other), say(mine)))
        .fix("use the same type, schema and policy, or another name"))
}

/// Removes what dead members left and no living one needs.
pub(crate) fn tidy(topic: &str, found: &[Found]) {
    // What cannot be removed now is looked at again later, by whoever looks.
    for one in found.iter().filter(|one| one.stale) {
        if one.role != Role::Publisher || !is_wanted(topic, one.number, found) {
            crash::point("topic.tidy.before-remove");
            let _ = registry::remove(&name(topic, one.role, one.number));
            crash::point("topic.tidy.removed");
        }
    }
    // Who died while it joined has a name without a segment, which is not found.
    let _ = registry::remove_unfinished(&group(topic));
}

/// Whether a living subscriber has not read the ring of a dead publisher to its end.
fn is_wanted(topic: &str, number: u32, found: &[Found]) -> bool {
    let Ok(segment) = open_data(topic, Role::Publisher, number) else { return false };
    let Ok(ring) = RingReader::open(&segment) else { return false };
    found.iter().filter(|one| one.role == Role::Subscriber && !one.stale).any(|one| {
        let Ok(segment) = open_data(topic, Role::Subscriber, one.number) else { return false };
        let Ok(cursors) = PeerCursors::open(&segment) else { return false };
        let position = cursors.position(ring.header().key(), &mut 0);
        position.is_none_or(|position| ring.has(position))
    })
}
