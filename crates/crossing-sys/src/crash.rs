//! Named crash points: places where a test can end this process by SIGKILL, as `kill -9` would.
//!
//! Compiled to nothing unless the feature `crash-points` is on. Armed by `arm` or by the environment variable
//! `CROSSING_CRASH=NAME[:COUNT]`: the process dies at the COUNT-th passage (default 1) of the point NAME.

/// A named crash point. Does nothing unless the feature `crash-points` is on and the point is armed.
#[inline(always)]
pub fn point(name: &'static str) {
    #[cfg(feature = "crash-points")]
    armed::pass(name);
    #[cfg(not(feature = "crash-points"))]
    let _ = name;
}

#[cfg(feature = "crash-points")]
pub use armed::{arm, passed};

#[cfg(feature = "crash-points")]
mod armed {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    static STATE: Mutex<Option<State>> = Mutex::new(None);

    #[derive(Default)]
    struct State {
        target: Option<(String, u32)>,
        passed: BTreeMap<&'static str, u32>,
    }

    impl State {
        fn from_environment() -> Self {
            let target = std::env::var("CROSSING_CRASH").ok().map(|text| match text.rsplit_once(':') {
                Some((name, count)) => (name.to_owned(), count.parse().unwrap_or(1)),
                None => (text, 1),
            });
            Self { target, passed: BTreeMap::new() }
        }
    }

    /// Arms the point `name`: the process is killed at its `count`-th passage from now on.
    pub fn arm(name: &str, count: u32) {
        let mut state = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = state.get_or_insert_with(State::from_environment);
        state.target = Some((name.to_owned(), count));
    }

    /// The points that this process has passed, with how often: shows that a test reaches what it names.
    #[must_use]
    pub fn passed() -> BTreeMap<&'static str, u32> {
        let state = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.as_ref().map(|state| state.passed.clone()).unwrap_or_default()
    }

    pub(super) fn pass(name: &'static str) {
        let mut state = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = state.get_or_insert_with(State::from_environment);
        *state.passed.entry(name).or_default() += 1;
        if let Some((target, left)) = &mut state.target
            && target == name
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                crate::process::kill_self();
            }
        }
    }
}
