//! The proof, as one binary. Run it by `tests/run`, which installs the servers it needs.
//!
//! | file | what it shows |
//! | --- | --- |
//! | `world/` | real servers, a scripted one, a proxy, other clients on both sides: no test of its own claims |
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod world;
mod harness;
