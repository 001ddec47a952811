//! `parlor`: a self-hosted chat backend in one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    parlor_server::cli::main()
}
