//! The servers of a client: one, or several that it asks by turns.
//!
//! Of several, those whose connection ended are connected to again by threads that end with their attempt, after a back-off that
//! doubles with each failure; meanwhile the living are asked. If none lives, a call waits for the attempts that are under way,
//! and begins those that rested long enough.

use super::ServiceOptions;
use super::client::{CALL, Connection, Shared, lock};
use crate::{Endpoint, ToEndpoint};
use crossing_sys::wakers::Wakers;
use crossing_sys::{CallError, Error, ErrorKind, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server that could not be connected to rests, at first and at most.
const REST: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];
/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Place {
    endpoint: Endpoint,
    connection: Option<Connection>,
    /// A thread connects.
    trying: bool,
    tried: Option<Instant>,
    rest: Duration,
    failed: Option<Error>,
}

/// A client's servers.
#[derive(Debug)]
pub(super) struct Servers {
    /// Of one server, found without a lock.
    only: Option<Connection>,
    places: Mutex<Vec<Place>>,
    /// An attempt ended.
    tried: Condvar,
    /// Tasks that wait for that.
    wakers: Mutex<Wakers>,
    turn: AtomicUsize,
    options: ServiceOptions,
}

impl Servers {
    pub(super) fn one(connection: Connection, options: &ServiceOptions) -> Self {
        Self::made(Some(connection), Vec::new(), options)
    }

    /// Connects to all of them at the same time; waits for the first.
    pub(super) fn several(endpoints: Vec<Endpoint>, options: &ServiceOptions) -> Result<Arc<Self>> {
        let place = |endpoint| Place {
            endpoint,
            connection: None,
            trying: false,
            tried: None,
            rest: REST[0],
            failed: None,
        };
        let servers = Arc::new(Self::made(None, endpoints.into_iter().map(place).collect(), options));
        let failed = match servers.choose(None) {
            Ok(_) => return Ok(servers),
            Err(error) => error,
        };
        let first = lock(&servers.places).iter_mut().find_map(|place| place.failed.take());
        Err(first.unwrap_or(failed))
    }

    fn made(only: Option<Connection>, places: Vec<Place>, options: &ServiceOptions) -> Self {
        Self {
            only,
            places: Mutex::new(places),
            tried: Condvar::new(),
            wakers: Mutex::default(),
            turn: AtomicUsize::new(0),
            options: options.clone(),
        }
    }

    /// How many servers a request may be tried at.
    pub(super) fn tries(&self) -> usize {
        if self.only.is_some() { 1 } else { lock(&self.places).len() + 1 }
    }

    /// How many are connected.
    pub(super) fn living(&self) -> usize {
        match &self.only {
            Some(connection) => usize::from(!connection.0.is_dead()),
            None => lock(&self.places).iter().filter(|place| place.lives()).count(),
        }
    }

    /// The connection whose turn it is, waiting for one until `deadline` if attempts are under way.
    pub(super) fn choose(self: &Arc<Self>, deadline: Option<Instant>) -> Result<Arc<Shared>> {
        if let Some(connection) = &self.only {
            return Ok(Arc::clone(&connection.0));
        }
        let mut places = lock(&self.places);
        loop {
            if let Some(chosen) = self.look(&mut places) {
                return chosen;
            }
            places = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => self.tried.wait(places).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    let error = Error::of_call(CallError::DeadlinePassed, CALL, Self::names(&places));
                    return Err(error.detail("no server was connected to in time"));
                }
                Some(left) => self.tried.wait_timeout(places, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// The one whose turn it is, or an error when there is none; `None`: attempts are under way.
    fn look(self: &Arc<Self>, places: &mut [Place]) -> Option<Result<Arc<Shared>>> {
        let none = !places.iter().any(Place::lives);
        for (at, place) in places.iter_mut().enumerate() {
            self.again(place, at, none);
        }
        if let Some(chosen) = self.next(places) {
            return Some(Ok(chosen));
        }
        let trying = places.iter().any(|place| place.trying);
        (!trying).then(|| Err(Self::nobody(places)))
    }

    /// As [`choose`](Self::choose), without waiting: the task of `waker` does, in `place`, while attempts are under way.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn choose_or_wait(
        self: &Arc<Self>,
        place: &mut crossing_sys::wakers::Place,
        waker: &std::task::Waker,
    ) -> Option<Result<Arc<Shared>>> {
        if let Some(connection) = &self.only {
            return Some(Ok(Arc::clone(&connection.0)));
        }
        // Before the look: what comes after it wakes.
        lock(&self.wakers).wait(place, waker);
        let chosen = self.look(&mut lock(&self.places));
        if chosen.is_some() {
            self.leave_place(place);
        }
        chosen
    }

    /// The task waits for that no more.
    #[cfg(all(feature = "tokio", unix, not(crossing_os_stub)))]
    pub(super) fn leave_place(&self, place: &mut crossing_sys::wakers::Place) {
        lock(&self.wakers).leave(place);
    }

    /// By turns; one that has room for a request, if there is one.
    fn next(&self, places: &[Place]) -> Option<Arc<Shared>> {
        // Relaxed: any order of turns will do.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let from = turn % places.len();
        let living = || {
            let (before, after) = places.split_at(from);
            after.iter().chain(before).filter(|place| place.lives()).filter_map(|p| p.connection.as_ref())
        };
        living().find(|it| it.0.has_room()).or_else(|| living().next()).map(|it| Arc::clone(&it.0))
    }

    /// Connects again, if it is dead and rested long enough.
    fn again(self: &Arc<Self>, place: &mut Place, at: usize, urgent: bool) {
        if place.trying || place.lives() {
            return;
        }
        let rest = if urgent { REST[0] } else { place.rest };
        if place.tried.is_some_and(|tried| tried.elapsed() < rest) {
            return;
        }
        place.connection = None;
        place.trying = true;
        place.tried = Some(Instant::now());
        let (servers, endpoint, options) =
            (Arc::downgrade(self), place.endpoint.clone(), self.options.clone());
        let thread = thread::Builder::new().name("service-connect".into());
        let begun = thread.spawn(move || {
            let made = options.link(&endpoint, Instant::now().checked_add(CONNECTING));
            Self::tried(&servers, at, made);
        });
        if let Err(cause) = begun {
            place.trying = false;
            place.failed = Some(Error::os(cause, "connect to", place.endpoint.to_string()));
        }
    }

    fn tried(servers: &Weak<Self>, at: usize, made: Result<Connection>) {
        // Who is gone wants no connection.
        let Some(servers) = servers.upgrade() else { return };
        let mut places: MutexGuard<'_, Vec<Place>> = lock(&servers.places);
        if let Some(place) = places.get_mut(at) {
            place.trying = false;
            match made {
                Ok(connection) => {
                    place.connection = Some(connection);
                    place.rest = REST[0];
                    place.failed = None;
                }
                Err(error) => {
                    place.rest = (place.rest * 2).min(REST[1]);
                    place.failed = Some(error);
                }
            }
        }
        servers.tried.notify_all();
        drop(places);
        lock(&servers.wakers).wake_all();
    }

    fn names(places: &[Place]) -> String {
        places.iter().map(|place| place.endpoint.to_string()).collect::<Vec<_>>().join(",")
    }

    fn nobody(places: &[Place]) -> Error {
        let why = places.iter().filter_map(|place| place.failed.as_ref());
        let why = why.map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Error::of_call(CallError::NoServer, CALL, Self::names(places)).detail(why)
    }
}

impl Place {
    fn lives(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.0.is_dead())
    }
}

/// What [`ServiceOptions::connect_any`] was given, read.
pub(super) fn endpoints<E: ToEndpoint + ?Sized>(given: &[&E]) -> Result<Vec<Endpoint>> {
    if given.is_empty() {
        return Err(Error::new(ErrorKind::ApiMisuse, "connect to", "").detail("no endpoint was given"));
    }
    given.iter().map(|endpoint| endpoint.to_endpoint()).collect()
}
