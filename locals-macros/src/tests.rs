//! The expansions, compared with what is kept of them.

use std::path::{Path, PathBuf};

use super::*;

mod golden;
mod guide;
mod half_written;

/// A path below the folder of this crate.
fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}
