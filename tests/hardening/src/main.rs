//! `cargo xtask`: what takes minutes, or needs a program from outside.

use std::{env, error::Error, process::ExitCode};

use hardening::server;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  serve DATABASE ADDRESS    the app under attack, until the standard input ends
";

#[actix_web::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        ["serve", database, address] => {
            server::serve_until_orphaned(database, address.parse()?).await
        }
        _ => Err(USAGE.into()),
    }
}
