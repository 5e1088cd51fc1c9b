//! The integration tests: one binary, one module a theme.
//!
//! * `sim`: a simulated world, to hold the planner to its promises

#[cfg(test)]
mod sim;
