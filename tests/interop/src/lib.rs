//! Tests of the `crossing` program against C++ programs that know nothing of Crossing. All is in `tests/` and `cpp/`.

#![forbid(unsafe_code)]
