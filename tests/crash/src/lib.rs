//! Crash tests live in tests/.
