//! Tests that expand whole items.

use std::path::{Path, PathBuf};

use super::*;

mod golden;
mod guide;
mod half_written;

/// A path relative to this crate.
fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}
