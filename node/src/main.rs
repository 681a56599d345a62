//! The `node` command.

use std::process::ExitCode;

use node::{
    cli::{self, Action},
    commands,
};

fn main() -> ExitCode {
    let invocation = match cli::parse() {
        Ok(invocation) => invocation,
        Err(error) => return error.report(),
    };
    let config = invocation.config;
    match invocation.action {
        Action::Run => commands::run(config),
        Action::PrintConfig => commands::print_config(&config),
        Action::Migrate => commands::migrate(&config),
        Action::NewEpoch => commands::new_epoch(&config),
        Action::MakeAdministrator { name, password_stdin } => {
            commands::make_administrator(&config, &name, password_stdin)
        }
        Action::Healthcheck => commands::healthcheck(&config),
    }
}
