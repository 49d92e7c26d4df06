//! Which peers of this machine a listener lets in.

use crate::link::Link;
use crate::{Credentials, Endpoint, Error, ErrorKind, Peer, Result};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whom a listener lets in, by what the kernel says of the process that connects
/// ([`ListenerOptions::allow`](crate::ListenerOptions::allow)).
///
/// ```
/// use crossing_net::{Allow, Endpoint, Listener, Stream};
/// let endpoint = Endpoint::local(&format!("doc-allow-{}", std::process::id()))?;
/// let listener = Listener::options()
///     .allow(Allow::same_user())
///     .allow(Allow::when(|peer| peer.process_id() == Some(1)))
///     .bind(&endpoint)?;
/// let _client = Stream::connect(&endpoint)?;
/// let (_server, _peer) = listener.accept()?;
/// assert_eq!(listener.refused_connections(), 0);
/// # Ok::<(), crossing_net::Error>(())
/// ```
///
/// # Platform-specific behavior
/// Windows has no numbers for users and groups: [`user`](Self::user) and [`group`](Self::group) let in nobody there; use
/// [`when`](Self::when) and [`Credentials::sid`].
#[derive(Clone)]
pub struct Allow(Rule);

#[derive(Clone)]
enum Rule {
    SameUser,
    User(u32),
    Group(u32),
    When(Arc<dyn Fn(&Credentials) -> bool + Send + Sync>),
}

impl Allow {
    /// Processes of the user that this process runs as.
    #[must_use]
    pub fn same_user() -> Self {
        Self(Rule::SameUser)
    }

    /// Processes of the user with this id. Root is no exception: allow it as well if it is to come in.
    #[must_use]
    pub fn user(id: u32) -> Self {
        Self(Rule::User(id))
    }

    /// Processes that are in the group with this id.
    ///
    /// # Platform-specific behavior
    /// Linux: in any of their groups; of the sender of a datagram its own group alone is known. macOS and FreeBSD: its own
    /// group alone.
    #[must_use]
    pub fn group(id: u32) -> Self {
        Self(Rule::Group(id))
    }

    /// Processes of which `test` says so. It runs where connections are accepted, which wait for it.
    #[must_use]
    pub fn when(test: impl Fn(&Credentials) -> bool + Send + Sync + 'static) -> Self {
        Self(Rule::When(Arc::new(test)))
    }

    /// Whether it lets a process in; `groups` gives those that it is in.
    pub(crate) fn lets_in(&self, who: &Credentials, groups: impl FnOnce() -> Vec<u32>) -> bool {
        match &self.0 {
            Rule::SameUser => who.is_same_user(),
            Rule::User(id) => who.ids().is_some_and(|(user, _)| user == *id),
            Rule::Group(id) => who.ids().is_some_and(|(_, group)| group == *id) || groups().contains(id),
            Rule::When(test) => test(who),
        }
    }
}

impl fmt::Debug for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::SameUser => f.write_str("SameUser"),
            Rule::User(id) => write!(f, "User({id})"),
            Rule::Group(id) => write!(f, "Group({id})"),
            Rule::When(_) => f.write_str("When(..)"),
        }
    }
}

/// Lets peers in, or counts them.
#[derive(Debug)]
pub(crate) struct Door {
    allowed: Vec<Allow>,
    refused: AtomicU64,
}

impl Door {
    /// Everybody may come in where nobody is named.
    pub(crate) fn new(allowed: &[Allow]) -> Self {
        Self { allowed: allowed.to_vec(), refused: AtomicU64::new(0) }
    }

    /// Refuses rules where the system does not say who comes.
    pub(crate) fn check(allowed: &[Allow], operation: &'static str, endpoint: &Endpoint) -> Result<()> {
        if allowed.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, operation, endpoint.to_string())
            .detail("only sockets of one machine tell which user connects")
            .fix("use unix:PATH, or pipe:NAME on Windows; over the network demand certificates (tls:)"))
    }

    /// Whether the peer of `link` may come in; counts who may not.
    pub(crate) fn lets_in(&self, link: &Link, peer: &Peer) -> bool {
        let Peer::Local(who) = peer else { return true };
        // A peer whose groups cannot be learnt is in none.
        self.admits(Some(who), || link.local().and_then(|local| local.peer_groups().ok()).unwrap_or_default())
    }

    /// Whether `who` may come in, of whom maybe nothing is known; counts who may not.
    pub(crate) fn admits(&self, who: Option<&Credentials>, groups: impl Fn() -> Vec<u32>) -> bool {
        let admitted = self.allowed.is_empty()
            || who.is_some_and(|who| self.allowed.iter().any(|rule| rule.lets_in(who, &groups)));
        if !admitted {
            // Relaxed: a number to look at, nothing is published by it.
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// How many were refused.
    pub(crate) fn refused(&self) -> u64 {
        // Relaxed: as above.
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, any(unix, windows), not(crossing_os_stub)))]
#[path = "allow_tests.rs"]
mod tests;
