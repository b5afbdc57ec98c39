//! The fuzz targets, one after the other.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Runs each target for an equal part of the time; says whether all went well.
///
/// # Errors
/// If there are no targets, or `cargo fuzz` cannot be run.
pub fn run(time: Duration) -> Result<bool, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let targets = targets(&root.join("fuzz/fuzz_targets"))?;
    let each = seconds_each(time, targets.len());
    let mut failed = Vec::new();
    for target in &targets {
        println!("== {target}, {each} s");
        // New inputs go to the first directory, which is local to this machine.
        let corpus = format!("fuzz/corpus/{target}");
        fs::create_dir_all(root.join(&corpus))?;
        let status = Command::new("cargo")
            .args(["fuzz", "run", "--sanitizer", "none", target])
            .args([&corpus, &format!("fuzz/seeds/{target}"), "--"])
            .arg(format!("-dict=fuzz/dictionaries/{target}.dict"))
            // A little more than the longest address; and time enough for a busy machine.
            .args(["-max_len=2304", "-timeout=30"])
            .arg(format!("-max_total_time={each}"))
            .current_dir(&root)
            .status()?;
        if !status.success() {
            failed.push(target.as_str());
        }
    }
    println!("targets     {}", targets.join(", "));
    println!("violations  {} {}", failed.len(), failed.join(", "));
    Ok(failed.is_empty())
}

/// The part of each target. 0 would be no limit at all.
fn seconds_each(time: Duration, targets: usize) -> u64 {
    (time.as_secs() / targets as u64).max(1)
}

/// The names of the targets in a directory.
fn targets(directory: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let entries = fs::read_dir(directory)
        .map_err(|error| format!("no fuzz targets in {}: {error}", directory.display()))?;
    let paths: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    let sources = paths.iter().filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let names = sources.filter_map(|path| path.file_stem()?.to_str().map(str::to_owned));
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    if names.is_empty() {
        return Err(format!("no fuzz targets in {}", directory.display()).into());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_an_equal_part_of_the_time_and_never_no_limit() {
        for (seconds, targets, each) in [(2400, 4, 600), (41, 4, 10), (3, 4, 1), (0, 4, 1)] {
            assert_eq!(seconds_each(Duration::from_secs(seconds), targets), each, "{seconds} s");
        }
    }

    #[test]
    fn the_targets_are_the_rust_files_of_their_directory() {
        let directory = tempfile::tempdir().unwrap();
        assert!(targets(directory.path()).unwrap_err().to_string().contains("no fuzz targets"));
        for file in ["token.rs", "cookie.rs", "notes.txt"] {
            fs::write(directory.path().join(file), "").unwrap();
        }
        assert_eq!(targets(directory.path()).unwrap(), ["cookie", "token"]);
    }
}
