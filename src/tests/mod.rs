//! Tests over several layers at once.

mod mutation;
