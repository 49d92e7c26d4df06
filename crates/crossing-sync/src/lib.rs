//! zerocopy.
