//! The cost of the window (Linux): `cargo bench --bench window`.
//!
//! * Start: from starting the program to the first pixels of its window, the real program on an Xvfb with OpenGL in
//!   software, eleven times, with a limit of one second.
//! * Frames: processor time of the window's thread for one frame, with a limit of 8 ms at the 99th percentile. A frame
//!   is what eframe does between an event and the graphics card: results of background work received (`App::logic`),
//!   layout and painting of the whole window (`App::ui`), the actions applied, and tessellation into triangles. Not
//!   included: the upload of textures and triangles to the card, and work on other threads.
//!
//! * Plots: the same with ten runs of 100,000 points each drawn in the train workspace while an eleventh is trained,
//!   with the pointer over them and a zoomed section, with a limit of 4 ms.
//!
//! `cargo bench --bench window -- start`, `scroll`, `label`, `train` or `plots` measures one of them.

#[cfg(target_os = "linux")]
#[path = "../tests/it/surroundings.rs"]
mod surroundings;

#[cfg(target_os = "linux")]
#[path = "../tests/it/desktop.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "it belongs to the tests, and only a part of it is needed here"
)]
mod desktop;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    if wanted("start") {
        linux::start()?;
    }
    if wanted("scroll") || wanted("label") {
        linux::many_frames(wanted("scroll"), wanted("label"))?;
    }
    if wanted("train") {
        linux::training()?;
    }
    if wanted("plots") {
        linux::plots()?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("This benchmark needs Linux: Xvfb, and the processor time of a thread.");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::io::Write as _;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use eframe::App as _;
    use egui::{Event, Key, Modifiers, RawInput, Rect, pos2, vec2};
    use salamander::app::{Action, Command, TrainAction, WindowOptions, Workspace};
    use salamander::backbone::Depth;
    use salamander::project::{ClassName, FrameName, Label, Project, Source, SourceId, SourceKind};
    use salamander::train::{RunId, TrainSettings};
    use salamander::ui::Window;
    use x11rb_xtest::connection::Connection as _;
    use x11rb_xtest::protocol::xproto::{ConnectionExt as _, ImageFormat};

    use super::desktop;

    type Outcome = Result<(), Box<dyn Error>>;

    const STARTS: usize = 11;
    const START_LIMIT_MS: f64 = 1000.0;
    const FRAME_LIMIT_MS: f64 = 8.0;
    const PLOT_LIMIT_MS: f64 = 4.0;
    const FRAMES: usize = 20_000;
    const RUNS: usize = 10;
    const POINTS: u32 = 100_000;
    const SIZE: (u16, u16) = (1440, 900);

    /// From starting the program to the first pixels.
    pub fn start() -> Outcome {
        let home = tempfile::tempdir()?;
        let (mut server, display) = desktop::start_server(SIZE);
        let mut times = Vec::new();
        for _ in 0..STARTS {
            times.push(time_to_first_frame(&display, home.path())?);
        }
        server.kill()?;
        server.wait()?;
        times.sort_by(f64::total_cmp);
        let median = at(&times, 0.5);
        println!(
            "start to first painted frame   median {median:5.0} ms   slowest {:5.0} ms   {:.2} of the limit of {START_LIMIT_MS} ms",
            at(&times, 1.0),
            median / START_LIMIT_MS
        );
        Ok(())
    }

    fn time_to_first_frame(display: &str, home: &Path) -> Result<f64, Box<dyn Error>> {
        let (connection, screen) = x11rb_xtest::connect(Some(display))?;
        let root = connection.setup().roots[screen].root;
        // The screen is black until the window has painted its background.
        let painted = || -> Result<bool, Box<dyn Error>> {
            let (x, y) = (SIZE.0 as i16 / 2, SIZE.1 as i16 / 2);
            let image = connection
                .get_image(ImageFormat::Z_PIXMAP, root, x, y, 8, 8, u32::MAX)?
                .reply()?;
            Ok(image.data.chunks(4).any(|pixel| pixel[..3] != [0, 0, 0]))
        };
        let began = Instant::now();
        let mut program = desktop::program(display, 1.0, home)
            .env("RUST_LOG", "off")
            .spawn()?;
        while !painted()? {
            if began.elapsed() > Duration::from_mins(1) {
                return Err("no window after a minute".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let time = began.elapsed().as_secs_f64() * 1e3;
        program.kill()?;
        program.wait()?;
        // The server removes the window, and the screen is black again.
        while painted()? {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(time)
    }

    /// Scrolling through many frames, and labelling all of them at once.
    pub fn many_frames(scroll: bool, label: bool) -> Outcome {
        let home = tempfile::tempdir()?;
        let root = home.path().join("Many");
        make_project(&root, FRAMES, 40)?;
        let mut desk = Desk::open(home.path(), &root)?;
        desk.window.apply(Action::Go(Workspace::Label));
        desk.settle(Duration::from_secs(2))?;
        if scroll {
            let mut times = Vec::new();
            for index in 0..1500 {
                // Two notches of a wheel per frame, down and up again, with the pointer over the grid.
                let delta = if index % 500 < 400 { -120.0 } else { 240.0 };
                let events = vec![
                    Event::PointerMoved(pos2(700.0, 500.0)),
                    Event::MouseWheel {
                        unit: egui::MouseWheelUnit::Point,
                        delta: vec2(0.0, delta),
                        phase: egui::TouchPhase::Move,
                        source: egui::MouseWheelSource::Wheel,
                        modifiers: Modifiers::NONE,
                    },
                ];
                times.push(desk.frame(events));
                std::thread::sleep(Duration::from_millis(4));
            }
            report(&format!("scrolling {FRAMES} frames"), times, FRAME_LIMIT_MS);
        }
        if label {
            let cats = Label::Class(ClassName::new("cat")?);
            let mut slowest = Vec::new();
            for label in [Label::Unsorted, cats] {
                desk.window.apply(Action::Command(Command::SelectAll));
                desk.settle(Duration::from_secs(1))?;
                let key = if label == Label::Unsorted {
                    Key::Num0
                } else {
                    Key::Num1
                };
                let press = |pressed| Event::Key {
                    key,
                    physical_key: None,
                    pressed,
                    repeat: false,
                    modifiers: Modifiers::NONE,
                };
                let mut times = vec![desk.frame(vec![press(true)])];
                let first = times[0];
                times.push(desk.frame(vec![press(false)]));
                // Until the files are moved and the folders have been read again.
                while !desk.window.app().tasks.is_idle() {
                    times.push(desk.frame(Vec::new()));
                    std::thread::sleep(Duration::from_millis(4));
                }
                let labelled = |frame: &salamander::project::Frame| frame.label == label;
                let session = desk.window.app().session.as_ref().ok_or("no project")?;
                assert!(
                    session.snapshot.frames.list.iter().all(labelled),
                    "not all were labelled"
                );
                times.sort_by(f64::total_cmp);
                slowest.push((first, at(&times, 1.0)));
            }
            for (first, slowest) in slowest {
                println!(
                    "labelling {FRAMES} frames at once   that frame {first:5.1} ms   slowest until done {slowest:5.1} ms   {:.2} of the limit of {FRAME_LIMIT_MS} ms",
                    first.max(slowest) / FRAME_LIMIT_MS
                );
            }
        }
        Ok(())
    }

    /// The train workspace with curves that grow.
    pub fn training() -> Outcome {
        let home = tempfile::tempdir()?;
        let root = home.path().join("Train");
        make_project(&root, 120, 12)?;
        let mut desk = Desk::open(home.path(), &root)?;
        desk.train(5_000_000)?;
        let mut times = Vec::new();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            times.push(desk.frame(Vec::new()));
            std::thread::sleep(Duration::from_millis(16));
        }
        let points = desk.points().ok_or("the training ended")?;
        report(
            &format!("training, {points} points a curve at the end"),
            times,
            FRAME_LIMIT_MS,
        );
        desk.quit();
        Ok(())
    }

    /// The train workspace with ten long runs and a training in progress.
    pub fn plots() -> Outcome {
        let home = tempfile::tempdir()?;
        let root = home.path().join("Plots");
        make_project(&root, 120, 12)?;
        let mut desk = Desk::open(home.path(), &root)?;
        desk.train(20)?;
        while desk.points().is_some() {
            desk.frame(Vec::new());
            std::thread::sleep(Duration::from_millis(16));
        }
        desk.settle(Duration::from_secs(1))?;
        let run = {
            let session = desk.window.app().session.as_ref().ok_or("no project")?;
            session.train.runs.first().ok_or("no run")?.run.dir.clone()
        };
        desk.window.apply(Action::Command(Command::CloseProject));
        desk.settle(Duration::from_secs(1))?;
        for number in 0..RUNS {
            long_run(&run, &format!("long-{number}"))?;
        }
        let mut desk = Desk::open(home.path(), &root)?;
        let known = |desk: &Desk| {
            let session = desk.window.app().session.as_ref();
            session.is_some_and(|session| session.train.runs.len() > RUNS)
        };
        while !known(&desk) {
            desk.frame(Vec::new());
            std::thread::sleep(Duration::from_millis(16));
        }
        desk.train(5_000_000)?;
        for number in 0..RUNS {
            let id = RunId(format!("long-{number}"));
            desk.window
                .apply(Action::Train(TrainAction::Overlay(id, true)));
        }
        let mut all = Vec::new();
        let moved = |x: f32| vec![Event::PointerMoved(pos2(x, 300.0))];
        for (what, events) in [
            ("taken in", None),
            ("at rest", None),
            ("under the pointer", Some("move")),
            ("zoomed into", Some("zoom")),
            ("smoothed otherwise", Some("smooth")),
        ] {
            let mut times = Vec::new();
            for frame in 0..300_u16 {
                let x = 500.0 + f32::from(frame % 200);
                let events = match events {
                    Some("move") => moved(x),
                    Some("zoom") => vec![Event::Zoom(if frame < 150 { 1.02 } else { 0.98 })],
                    Some("smooth") => {
                        let session = desk.window.app().session.as_ref().ok_or("no project")?;
                        let mut view = session.train.view.clone();
                        view.smoothing = f64::from(frame % 90) / 100.0;
                        desk.window.apply(Action::Train(TrainAction::View(view)));
                        Vec::new()
                    }
                    _ => Vec::new(),
                };
                times.push(desk.frame(events));
                std::thread::sleep(Duration::from_millis(8));
            }
            all.extend_from_slice(&times);
            report(
                &format!("{RUNS} runs of {POINTS} points, {what}"),
                times,
                PLOT_LIMIT_MS,
            );
        }
        let points = desk.points().ok_or("the training ended")?;
        report(
            &format!("{RUNS} runs of {POINTS} points while {points} arrive"),
            all,
            PLOT_LIMIT_MS,
        );
        desk.quit();
        Ok(())
    }

    /// A copy of a run with long curves.
    fn long_run(run: &Path, name: &str) -> Outcome {
        let copy = run.with_file_name(name);
        std::fs::create_dir(&copy)?;
        for file in ["run.json", "frames.jsonl", "weights.safetensors"] {
            std::fs::copy(run.join(file), copy.join(file))?;
        }
        let mut lines = std::io::BufWriter::new(std::fs::File::create(copy.join("curves.jsonl"))?);
        let seed = name.bytes().map(u32::from).sum::<u32>();
        for step in 1..=POINTS {
            let noise = step.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 8;
            let noise = 0.1 * f64::from(noise) / f64::from(1 << 24);
            let way = 1.0 / f64::from(step).sqrt();
            let [accuracy, entropy] = [0.9 - 0.5 * way + noise, 0.2 + way + noise];
            let secs = f64::from(step) * 0.01;
            writeln!(
                lines,
                r#"{{"step":{step},"secs":{secs},"train_accuracy":{accuracy},"train_cross_entropy":{entropy},"validation_accuracy":{accuracy},"validation_cross_entropy":{entropy}}}"#
            )?;
        }
        lines.flush()?;
        Ok(())
    }

    fn report(what: &str, mut times: Vec<f64>, limit: f64) {
        times.sort_by(f64::total_cmp);
        let slow = at(&times, 0.99);
        println!(
            "{what}   {} frames   median {:.2} ms   99 % {slow:.2} ms   slowest {:.2} ms   {:.2} of the limit of {limit} ms",
            times.len(),
            at(&times, 0.5),
            at(&times, 1.0),
            slow / limit
        );
    }

    /// The quantile `part` of the sorted `values`.
    fn at(values: &[f64], part: f64) -> f64 {
        let last = values.len().saturating_sub(1);
        values
            .get((part * last as f64).round() as usize)
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// A window without a screen.
    struct Desk {
        ctx: egui::Context,
        window: Window,
        frame: eframe::Frame,
        began: Instant,
    }

    impl Desk {
        fn open(home: &Path, root: &Path) -> Result<Self, Box<dyn Error>> {
            let ctx = egui::Context::default();
            let options = WindowOptions {
                config_dir: Some(home.join("config")),
                open: vec![root.to_owned()],
                system_dialogs: false,
            };
            let window = Window::new(&ctx, options);
            let frame = eframe::Frame::_new_kittest();
            let mut desk = Self {
                ctx,
                window,
                frame,
                began: Instant::now(),
            };
            while desk.window.app().session.is_none() {
                desk.frame(Vec::new());
                std::thread::sleep(Duration::from_millis(5));
            }
            desk.settle(Duration::from_secs(1))?;
            Ok(desk)
        }

        /// Starts a training of the head, and waits for its first points or its end.
        fn train(&mut self, steps: u32) -> Outcome {
            self.window
                .apply(Action::Train(TrainAction::Set(TrainSettings {
                    architecture: "efficientnet-lite0@128".parse()?,
                    how_many_training_steps: steps,
                    ..TrainSettings::default()
                })));
            self.window
                .apply(Action::Train(TrainAction::SetDepth(Some(Depth::Head))));
            self.window.apply(Action::Command(Command::StartTraining));
            // A short one may have ended by then.
            while self.points().is_some_and(|points| points < 2) {
                self.frame(Vec::new());
                std::thread::sleep(Duration::from_millis(16));
            }
            Ok(())
        }

        /// Points of the training in progress; `None` without one.
        fn points(&self) -> Option<usize> {
            let session = self.window.app().session.as_ref()?;
            Some(session.train.live.as_ref()?.points.len())
        }

        fn quit(&mut self) {
            self.window.apply(Action::QuitNow);
            while !self.window.app().may_close() {
                self.frame(Vec::new());
                std::thread::sleep(Duration::from_millis(16));
            }
        }

        /// Continues until no background work is left, and at least for this long.
        fn settle(&mut self, least: Duration) -> Outcome {
            let began = Instant::now();
            loop {
                self.frame(Vec::new());
                std::thread::sleep(Duration::from_millis(5));
                let app = self.window.app();
                let idle = app.tasks.is_idle()
                    && app
                        .session
                        .as_ref()
                        .is_none_or(|session| session.images.is_idle());
                if idle && began.elapsed() > least {
                    return Ok(());
                }
                if began.elapsed() > Duration::from_mins(2) {
                    return Err("the window does not come to rest".into());
                }
            }
        }

        /// One frame; returns its processor time on this thread, milliseconds.
        fn frame(&mut self, events: Vec<Event>) -> f64 {
            let size = vec2(f32::from(SIZE.0), f32::from(SIZE.1));
            let input = RawInput {
                screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), size)),
                time: Some(self.began.elapsed().as_secs_f64()),
                max_texture_side: Some(8192),
                focused: true,
                events,
                ..RawInput::default()
            };
            let began = thread_seconds();
            let mut output = self.ctx.run_ui(input, |ui| {
                self.window.logic(&ui.ctx().clone(), &mut self.frame);
                self.window.ui(ui, &mut self.frame);
            });
            let triangles = self.ctx.tessellate(output.shapes, output.pixels_per_point);
            let time = (thread_seconds() - began) * 1e3;
            std::hint::black_box(triangles);
            // There is no graphics card to take them.
            output.textures_delta.clear();
            time
        }
    }

    /// Processor time of this thread.
    fn thread_seconds() -> f64 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` is a valid place for the result, and every Linux has this clock.
        let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(code, 0, "the thread's clock cannot be read");
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    }

    /// A project of `frames` frames from `sources` videos in two classes.
    fn make_project(root: &Path, frames: usize, sources: usize) -> Outcome {
        let project = Project::create(root, "Many")?;
        let classes = ["cat", "dog"];
        for class in classes {
            project.add_class(&ClassName::new(class)?)?;
        }
        let images = images(&root.join("cache"))?;
        let each = frames / sources;
        for number in 0..sources {
            let id = SourceId::of_batch(&format!("video {number}"));
            let class = classes[number % classes.len()];
            project.put_source(Source {
                class: Some(ClassName::new(class)?),
                duration_secs: Some(each as f64 / 2.0),
                extracted: Some(each as u64),
                ..Source::new(
                    id.clone(),
                    SourceKind::Video,
                    format!("{class}-{number}.mp4"),
                    root.join(format!("{class}-{number}.mp4")),
                )
            })?;
            let folder = root.join("classes").join(class);
            std::fs::create_dir_all(&folder)?;
            for index in 0..each {
                let name = FrameName {
                    stem: format!("{class}-{number}"),
                    source: id.clone(),
                    time_secs: Some(index as f64 / 2.0),
                    id: format!("{:08x}", number * each + index),
                    extension: "jpg".to_owned(),
                };
                let image = &images[(number * 7 + index) % images.len()];
                std::fs::write(folder.join(name.to_file_name()), image)?;
            }
        }
        Ok(())
    }

    /// Some different images, as JPEG.
    fn images(folder: &Path) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("picture.jpg");
        let mut images = Vec::new();
        for number in 0..32_u32 {
            let image = image::RgbImage::from_fn(320, 180, |x, y| {
                let level = |phase: u32| ((x * (1 + number % 5) + y * 2 + phase) % 256) as u8;
                image::Rgb([level(number * 8), level(90), level(180 - number)])
            });
            image.save(&path)?;
            images.push(std::fs::read(&path)?);
        }
        std::fs::remove_file(path)?;
        Ok(images)
    }
}
