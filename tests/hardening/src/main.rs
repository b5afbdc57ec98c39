//! `cargo xtask`: what takes minutes, or needs a program from outside.

use std::{env, error::Error, process::ExitCode, time::Duration};

use hardening::{database, fuzz, history, load, server};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  history [--seconds 600] [--clients 16] [--seed N]
        Two processes of the app on one PostgreSQL, clients that log in and out on both, and all
        that can go wrong meanwhile: processes are killed, connections cut, the database stalls.
        Then the whole history is checked. The server is the one that LOCALS_TEST_POSTGRES_URL
        names, or that on port 5432; the run makes a database of its own there and removes it.

  load [--seconds 600] [--database postgres://user@host:port/name] [--seed N]
        One process of the app, on SQLite unless a PostgreSQL server is named, and as many requests
        as the machine holds. Clients know what each answer must be, the database must be as they
        have left it, and the memory must not grow. Needs the program `wrk`. A disk that takes
        two seconds for a write makes 503s: TMPDIR=/dev/shm keeps it out of this.

  fuzz [--seconds 600]
        Each target of fuzz/ in turn, for an equal part of the time. Needs `cargo fuzz`.

  serve DATABASE ADDRESS
        The app under attack, until the standard input ends.

What ends with violations ends with exit code 1.
";

#[actix_web::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command, and says whether all was well.
async fn run(arguments: &[&str]) -> Result<bool, Box<dyn Error>> {
    match arguments {
        ["serve", database, address] => {
            server::serve_until_orphaned(database, address.parse()?).await?;
            Ok(true)
        }
        ["history", options @ ..] => {
            let options = Options::read(options, &["--seconds", "--clients", "--seed"])?;
            let settings = history::Settings {
                program: env::current_exe()?,
                server: database::default_server(),
                time: options.time()?,
                clients: options.number("--clients")?.unwrap_or(16),
                seed: options.number("--seed")?.unwrap_or_else(|| fastrand::u64(..1_000_000)),
            };
            println!("history     --seed {}, {} clients", settings.seed, settings.clients);
            let report = history::run(&settings).await?;
            println!("{report}");
            Ok(report.violations.is_empty())
        }
        ["load", options @ ..] => {
            let options = Options::read(options, &["--seconds", "--database", "--seed"])?;
            let time = options.time()?;
            let settings = load::Settings {
                program: env::current_exe()?,
                directory: env::temp_dir(),
                server: options.text("--database").map(str::to_owned),
                time,
                memory_may_not_grow: true,
                seed: options.number("--seed")?.unwrap_or_else(|| fastrand::u64(..1_000_000)),
            };
            println!("load        --seed {}", settings.seed);
            let report = load::run(&settings).await?;
            println!("{report}");
            Ok(report.violations.is_empty())
        }
        ["fuzz", options @ ..] => fuzz::run(Options::read(options, &["--seconds"])?.time()?),
        [] => {
            print!("{USAGE}");
            Ok(true)
        }
        _ => Err(USAGE.into()),
    }
}

/// Options of a command, each with its value.
struct Options<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Options<'a> {
    fn read(arguments: &[&'a str], known: &[&str]) -> Result<Self, Box<dyn Error>> {
        let pairs = arguments.chunks(2).map(|pair| match pair {
            [name, value] if known.contains(name) => Ok((*name, *value)),
            pair => Err(format!("{}: not understood\n\n{USAGE}", pair.join(" ")).into()),
        });
        Ok(Self(pairs.collect::<Result<_, Box<dyn Error>>>()?))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Box<dyn Error>> {
        let read = |value: &str| value.parse().map_err(|_| format!("{name} {value}: no number"));
        Ok(self.text(name).map(read).transpose()?)
    }

    /// How long it is to last.
    fn time(&self) -> Result<Duration, Box<dyn Error>> {
        Ok(Duration::from_secs(self.number("--seconds")?.unwrap_or(600)))
    }
}
