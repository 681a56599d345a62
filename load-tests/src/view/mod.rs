//! How a run stands, while it runs: a picture in a terminal that changes each second, or plain lines where there is none.

mod lines;
mod screen;

use std::{
    io::{self, IsTerminal, Write},
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen},
    },
};

use self::lines::Lines;
use crate::measure::Snapshot;

/// Shows a run until it is dropped, and then leaves the terminal as it was. The keyboard is left alone: Ctrl-C is the
/// signal that it always is, and whoever takes it drops the view, or calls [`restore`] before it ends the process.
#[derive(Debug)]
pub struct View {
    form: Form,
    /// What was said meanwhile.
    notes: Vec<String>,
}

#[derive(Debug)]
enum Form {
    Screen(Box<Terminal<CrosstermBackend<io::Stdout>>>),
    Lines(Lines),
}

/// Whether the picture is on the terminal.
static DRAWN: AtomicBool = AtomicBool::new(false);

impl View {
    /// On this process's standard output: a picture if it is a terminal that can show one, plain lines otherwise.
    pub fn start() -> Self {
        let able = io::stdout().is_terminal() && std::env::var("TERM").is_ok_and(|term| term != "dumb");
        let screen = if able { screen().ok() } else { None };
        Self {
            form: screen.map_or_else(|| Form::Lines(Lines::default()), Form::Screen),
            notes: Vec::new(),
        }
    }

    /// Plain lines in any case.
    pub fn plain() -> Self {
        Self {
            form: Form::Lines(Lines::default()),
            notes: Vec::new(),
        }
    }

    /// Shows how the run stands. What cannot be written, because nobody reads it any more, is not.
    pub fn show(&mut self, snapshot: &Snapshot) {
        let _ = match &mut self.form {
            Form::Screen(terminal) => {
                let notes = &self.notes;
                terminal
                    .draw(|frame| screen::draw(frame, snapshot, notes))
                    .map(|_| ())
            }
            Form::Lines(lines) => lines.show(snapshot, &mut io::stdout().lock()),
        };
    }

    /// Says something. Under a picture it is shown with what happened, and written to standard output at the end.
    pub fn say(&mut self, text: &str) {
        match self.form {
            Form::Screen(_) => self.notes.push(text.to_owned()),
            Form::Lines(_) => {
                let _ = writeln!(io::stdout().lock(), "{text}");
            }
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        restore();
        if let Form::Screen(_) = self.form {
            for note in &self.notes {
                let _ = writeln!(io::stdout().lock(), "{note}");
            }
        }
    }
}

/// Takes the picture away, if there is one: the terminal is as it was. Also for a process that is about to end without
/// dropping what it has.
pub fn restore() {
    if DRAWN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    }
}

fn screen() -> io::Result<Box<Terminal<CrosstermBackend<io::Stdout>>>> {
    static HOOK: Once = Once::new();
    // A panic's message is written before anything is dropped: onto the terminal, not onto the picture.
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |about| {
            restore();
            before(about);
        }));
    });
    let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    DRAWN.store(true, Ordering::SeqCst);
    // Not every terminal gives an empty screen here.
    if let Err(error) = execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All), Hide) {
        restore();
        return Err(error);
    }
    Ok(Box::new(terminal))
}
