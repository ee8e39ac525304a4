//! The position of the pointer while files of another program are dragged over the window.
//!
//! During such a drag the window gets no pointer events, and winit reports only that files hover. On X11 the server
//! can be asked; elsewhere the position is unknown, and files are dropped on the window as a whole.

use eframe::egui::{Context, Pos2};

/// Finds the pointer during a drag.
#[derive(Default)]
pub struct FileDrag {
    #[cfg(target_os = "linux")]
    server: std::cell::OnceCell<Option<x11::Server>>,
}

impl FileDrag {
    /// Where files hover or were just dropped, in points of the window; `None` without a drag, or if the position is
    /// unknown.
    pub fn position(&self, ctx: &Context, frame: &eframe::Frame) -> Option<Pos2> {
        let (dragging, known) = ctx.input(|input| {
            let raw = &input.raw;
            let dragging = !raw.hovered_files.is_empty() || !raw.dropped_files.is_empty();
            (dragging, input.pointer.hover_pos())
        });
        if !dragging {
            return None;
        }
        // There is no event for the next movement of the pointer.
        ctx.request_repaint_after(std::time::Duration::from_millis(40));
        self.ask(ctx, frame).or(known)
    }

    #[cfg(target_os = "linux")]
    fn ask(&self, ctx: &Context, frame: &eframe::Frame) -> Option<Pos2> {
        let window = frame.winit_window()?;
        let server = self.server.get_or_init(x11::Server::connect);
        let (x, y) = server.as_ref()?.pointer()?;
        // Both in pixels of the screen.
        let origin = window.inner_position().ok()?;
        let at = Pos2::new((x - origin.x) as f32, (y - origin.y) as f32);
        Some(at / ctx.pixels_per_point())
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, reason = "the same signature as on Linux")]
    fn ask(&self, _ctx: &Context, _frame: &eframe::Frame) -> Option<Pos2> {
        None
    }
}

#[cfg(target_os = "linux")]
mod x11 {
    use x11rb::connection::Connection as _;
    use x11rb::protocol::xproto::{ConnectionExt as _, Window};
    use x11rb::rust_connection::RustConnection;

    /// A separate connection to the X server; there is none on Wayland without an X server.
    pub struct Server {
        connection: RustConnection,
        root: Window,
    }

    impl Server {
        pub fn connect() -> Option<Self> {
            let (connection, screen) = x11rb::connect(None)
                .inspect_err(|error| log::info!("no X server to ask for the pointer: {error}"))
                .ok()?;
            let root = connection.setup().roots.get(screen)?.root;
            Some(Self { connection, root })
        }

        /// The position of the pointer on the screen, pixels.
        pub fn pointer(&self) -> Option<(i32, i32)> {
            let reply = self
                .connection
                .query_pointer(self.root)
                .ok()?
                .reply()
                .ok()?;
            Some((reply.root_x.into(), reply.root_y.into()))
        }
    }
}
