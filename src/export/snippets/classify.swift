// Classifies images with the models of this export, as Salamander does, and checks itself on golden/.
//
// For an app: copy this file, keep the class of the runtime that you use (CoreMLModel, OnnxModel or TfliteModel) and leave out what
// follows `// --- the check`. On a Mac, in the export's folder, with Core ML alone:
//
//     swiftc -O snippets/classify.swift -o classify && ./classify . [IMAGE…]
//
// Models whose runtime is not compiled in are named, and their preprocessing is checked all the same. Ends with 1 if anything differs.
// Written after the documentation of the runtimes; Salamander's tests, which do not run on Apple's systems, check its syntax and have
// not compiled it.

import CoreGraphics
import CoreML
import Foundation
import ImageIO
#if canImport(OnnxRuntimeBindings)
import OnnxRuntimeBindings
#endif
#if canImport(TensorFlowLite)
import TensorFlowLite
#endif

struct Failure: Error { let message: String }

/// Pixels, three bytes each: R, G, B, row by row.
struct Rgb {
    let width: Int, height: Int
    var bytes: [UInt8]
}

/// The image at `url`, upright, in sRGB, on white.
func load(_ url: URL) throws -> Rgb {
    let size = [kCGImageSourceCreateThumbnailFromImageAlways: true, kCGImageSourceCreateThumbnailWithTransform: true,
                kCGImageSourceThumbnailMaxPixelSize: 100_000] as CFDictionary
    guard let source = CGImageSourceCreateWithURL(url as CFURL, nil),
          // With this the system turns the image as its EXIF orientation says; larger than it is it is not made.
          let image = CGImageSourceCreateThumbnailAtIndex(source, 0, size) else { throw Failure(message: "cannot read \(url.path)") }
    let (width, height) = (image.width, image.height)
    var rgba = [UInt8](repeating: 255, count: width * height * 4)
    try rgba.withUnsafeMutableBytes { pixels in
        guard let context = CGContext(
            data: pixels.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
            // The image's own colours, so that no profile changes them, where they are RGB.
            space: image.colorSpace?.model == .rgb ? image.colorSpace! : CGColorSpace(name: CGColorSpace.sRGB)!,
            bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue
        ) else { throw Failure(message: "cannot draw \(url.path)") }
        context.setFillColor(red: 1, green: 1, blue: 1, alpha: 1)
        context.fill(CGRect(x: 0, y: 0, width: width, height: height))
        context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
    }
    var bytes = [UInt8]()
    bytes.reserveCapacity(width * height * 3)
    for at in stride(from: 0, to: rgba.count, by: 4) { bytes += rgba[at..<at + 3] }
    return Rgb(width: width, height: height, bytes: bytes)
}

/// How an image becomes the input of a model: what preprocess.json says, and the model's own line in golden.json.
struct Recipe {
    let side: Int, fit: String, bars: [UInt8], kind: String, mean: [Float], std: [Float]
    /// Below this probability an image is none of the classes.
    let unknownBelow: Float

    init(_ preprocess: [String: Any], _ input: [String: Any]) {
        func numbers(_ list: Any?) -> [Double] { (list as? [NSNumber])?.map(\.doubleValue) ?? [] }
        side = (preprocess["resolution_px"] as! NSNumber).intValue
        fit = preprocess["fit"] as! String
        bars = numbers(preprocess["bar_rgb"]).map { UInt8($0) }
        kind = input["kind"] as! String
        unknownBelow = (preprocess["unknown_below"] as? NSNumber)?.floatValue ?? 0
        mean = numbers(input["mean"] ?? preprocess["mean"]).map { Float($0) }
        std = numbers(input["std"] ?? preprocess["std"]).map { Float($0) }
    }

    /// The label of the greatest probability.
    func answer(_ found: [Float], _ labels: [String]) -> String {
        let best = found.indices.max { found[$0] < found[$1] }!
        return found[best] < unknownBelow ? "unknown (nearest: \(labels[best]))" : labels[best]
    }

    /// The image cut and resized to side × side pixels.
    func square(_ image: Rgb) -> Rgb {
        if fit == "center_crop" {
            let cut = min(image.width, image.height)
            return resize(crop(image, (image.width - cut) / 2, (image.height - cut) / 2, cut), side, side)
        }
        if fit == "stretch" { return resize(image, side, side) }
        let longer = max(image.width, image.height)
        let inner = [image.width, image.height].map { max(1, (2 * $0 * side + longer) / (2 * longer)) }
        let small = resize(image, inner[0], inner[1])
        let (left, top) = ((side - inner[0]) / 2, (side - inner[1]) / 2)
        var bytes = (0..<side * side * 3).map { bars[$0 % 3] }
        for y in 0..<inner[1] {
            let to = 3 * ((top + y) * side + left)
            bytes.replaceSubrange(to..<to + 3 * inner[0], with: small.bytes[3 * y * inner[0]..<3 * (y + 1) * inner[0]])
        }
        return Rgb(width: side, height: side, bytes: bytes)
    }

    /// The input of a model, of a batch of one: bytes, or floats.
    func tensor(_ image: Rgb) -> Data {
        let pixels = square(image).bytes
        if kind == "uint8_nhwc" { return Data(pixels) }
        let plane = side * side
        let values = pixels.indices.map { at -> Float in
            let from = kind == "float32_nchw" ? at % plane * 3 + at / plane : at
            return (Float(pixels[from]) - mean[from % 3]) / std[from % 3]
        }
        return values.withUnsafeBufferPointer { Data(buffer: $0) }
    }
}

func crop(_ image: Rgb, _ left: Int, _ top: Int, _ side: Int) -> Rgb {
    var bytes = [UInt8]()
    for y in 0..<side {
        let from = 3 * ((top + y) * image.width + left)
        bytes += image.bytes[from..<from + 3 * side]
    }
    return Rgb(width: side, height: side, bytes: bytes)
}

/// A triangle filter that is widened when the image shrinks, first along columns, then along rows.
func resize(_ image: Rgb, _ width: Int, _ height: Int) -> Rgb {
    let columns = along(image.bytes, image.height, height, image.width, 3 * image.width, 3, 3 * image.width, 3)
    return Rgb(width: width, height: height, bytes: along(columns, image.width, width, height, 3, 3 * image.width, 3, 3 * width))
}

/// Resizes `lines` lines from `length` to `wanted` pixels; a step is the distance of pixels, a stride that of lines.
func along(_ from: [UInt8], _ length: Int, _ wanted: Int, _ lines: Int,
           _ step: Int, _ stride: Int, _ newStep: Int, _ newStride: Int) -> [UInt8] {
    var to = [UInt8](repeating: 0, count: wanted * lines * 3)
    let scale = Double(length) / Double(wanted)
    let support = max(1, scale)
    for at in 0..<wanted {
        let center = (Double(at) + 0.5) * scale
        let first = max(0, Int(center - support + 0.5))
        let last = min(length, Int(center + support + 0.5))
        let weights = (first..<last).map { max(0, 1 - abs((Double($0) - center + 0.5) / support)) }
        let sum = weights.reduce(0, +)
        for line in 0..<lines {
            for channel in 0..<3 {
                var value = 0.0
                for (tap, weight) in weights.enumerated() {
                    value += weight * Double(from[line * stride + (first + tap) * step + channel])
                }
                to[line * newStride + at * newStep + channel] = UInt8(min(255, max(0, (value / sum + 0.5).rounded(.down))))
            }
        }
    }
    return to
}

/// A model: from the input to a probability for each label.
protocol Model {
    func run(_ input: Data, _ recipe: Recipe, _ labels: [String]) throws -> [Float]
}

/// With Core ML, which comes with the system.
final class CoreMLModel: Model {
    private let model: MLModel

    init(_ url: URL) throws { model = try MLModel(contentsOf: MLModel.compileModel(at: url)) }

    func run(_ input: Data, _ recipe: Recipe, _ labels: [String]) throws -> [Float] {
        var buffer: CVPixelBuffer?
        let side = recipe.side
        CVPixelBufferCreate(nil, side, side, kCVPixelFormatType_32BGRA, nil, &buffer)
        guard let pixels = buffer else { throw Failure(message: "no memory for an image") }
        CVPixelBufferLockBaseAddress(pixels, [])
        let row = CVPixelBufferGetBytesPerRow(pixels)
        let to = CVPixelBufferGetBaseAddress(pixels)!.assumingMemoryBound(to: UInt8.self)
        for y in 0..<side {
            for x in 0..<side {
                let from = 3 * (y * side + x)
                for channel in 0..<3 { to[y * row + 4 * x + 2 - channel] = input[from + channel] }
                to[y * row + 4 * x + 3] = 255
            }
        }
        CVPixelBufferUnlockBaseAddress(pixels, [])
        let features = try MLDictionaryFeatureProvider(dictionary: ["image": MLFeatureValue(pixelBuffer: pixels)])
        let found = try model.prediction(from: features).featureValue(for: "classLabel_probs")?.dictionaryValue ?? [:]
        return labels.map { found[$0]?.floatValue ?? .nan }
    }
}

#if canImport(OnnxRuntimeBindings)
/// With ONNX Runtime: https://github.com/microsoft/onnxruntime-swift-package-manager.
final class OnnxModel: Model {
    private let session: ORTSession
    private let environment: ORTEnv
    private let names: (String, String)

    init(_ url: URL, _ input: String, _ output: String) throws {
        environment = try ORTEnv(loggingLevel: .warning)
        session = try ORTSession(env: environment, modelPath: url.path, sessionOptions: nil)
        names = (input, output)
    }

    func run(_ input: Data, _ recipe: Recipe, _ labels: [String]) throws -> [Float] {
        let side = NSNumber(value: recipe.side)
        let tensor = try ORTValue(
            tensorData: NSMutableData(data: input),
            elementType: recipe.kind == "uint8_nhwc" ? .uInt8 : .float,
            shape: recipe.kind == "float32_nchw" ? [1, 3, side, side] : [1, side, side, 3])
        let found = try session.run(withInputs: [names.0: tensor], outputNames: [names.1], runOptions: nil)
        return floats(try found[names.1]!.tensorData() as Data)
    }
}
#endif

#if canImport(TensorFlowLite)
/// With TensorFlow Lite: the pod TensorFlowLiteSwift.
final class TfliteModel: Model {
    private let interpreter: Interpreter

    init(_ url: URL) throws {
        interpreter = try Interpreter(modelPath: url.path)
        try interpreter.allocateTensors()
    }

    func run(_ input: Data, _ recipe: Recipe, _ labels: [String]) throws -> [Float] {
        try interpreter.copy(input, toInputAt: 0)
        try interpreter.invoke()
        return floats(try interpreter.output(at: 0).data)
    }
}
#endif

func floats(_ data: Data) -> [Float] {
    data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
}

// --- the check

func opened(_ folder: URL, _ model: [String: Any]) throws -> Model? {
    let url = folder.appendingPathComponent(model["file"] as! String)
    switch url.pathExtension {
    case "mlpackage": return try CoreMLModel(url)
    #if canImport(OnnxRuntimeBindings)
    case "onnx":
        func name(_ part: String) -> String { (model[part] as! [String: Any])["name"] as! String }
        return try OnnxModel(url, name("input"), name("output"))
    #endif
    #if canImport(TensorFlowLite)
    case "tflite": return try TfliteModel(url)
    #endif
    default: return nil
    }
}

/// The values of a NumPy file that golden/ has.
func values(_ url: URL) throws -> Data {
    let bytes = try Data(contentsOf: url)
    return Data(bytes[(10 + Int(bytes[8]) + 256 * Int(bytes[9]))...])
}

/// The largest difference of two inputs, in levels of 255.
func levels(_ made: Data, _ expected: Data, _ recipe: Recipe) -> Float {
    if made.count != expected.count { return .infinity }
    if recipe.kind == "uint8_nhwc" { return zip(made, expected).map { abs(Float($0) - Float($1)) }.max() ?? 0 }
    return (zip(floats(made), floats(expected)).map { abs($0 - $1) }.max() ?? 0) * (recipe.std.max() ?? 1)
}

func json(_ url: URL) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as! [String: Any]
}

func check() throws -> Bool {
    let arguments = CommandLine.arguments.dropFirst()
    let folder = URL(fileURLWithPath: arguments.first ?? ".")
    let golden = try json(folder.appendingPathComponent("golden/golden.json"))
    let preprocess = try json(folder.appendingPathComponent("preprocess.json"))
    let labels = golden["labels"] as! [String]
    var problems = [String](), checked = 0
    for model in golden["models"] as! [[String: Any]] {
        let file = model["file"] as! String
        let recipe = Recipe(preprocess, model["input"] as! [String: Any])
        let runner = try opened(folder, model)
        if let runner = runner, arguments.count > 1 {
            for path in arguments.dropFirst() {
                let found = try runner.run(recipe.tensor(load(URL(fileURLWithPath: path))), recipe, labels)
                print("\(path): \(recipe.answer(found, labels)) \(found.max()!)")
            }
            return true
        }
        var largest: Float = 0
        for image in golden["images"] as! [[String: Any]] {
            let name = image["image"] as! String
            let made = try recipe.tensor(load(folder.appendingPathComponent(name)))
            let npy = try values(folder.appendingPathComponent((image["inputs"] as! [String: String])[recipe.kind]!))
            let apart = levels(made, npy, recipe)
            checked += 1
            if apart > 2.01 { problems.append("\(file): preprocessing \(name) does not give the expected input: they differ by \(apart) levels of 255") }
            guard let runner = runner else { continue }
            let expected = (image["expected"] as! [String: [NSNumber]])[file]!
            for (found, expected) in zip(try runner.run(npy, recipe, labels), expected) {
                let difference = abs(found - expected.floatValue)
                // Not a number is the largest difference there is.
                largest = max(largest, difference.isNaN ? .infinity : difference)
            }
        }
        print(runner == nil ? "\(file): inputs checked; not run here" : "\(file): probabilities within \(largest)")
        if Double(largest) > (model["tolerance"] as! NSNumber).doubleValue { problems.append("\(file): a probability differs by \(largest)") }
    }
    if checked == 0 { problems.append("nothing was checked") }
    problems.forEach { FileHandle.standardError.write(Data(($0 + "\n").utf8)) }
    print(problems.isEmpty ? "as expected" : "NOT as expected")
    return problems.isEmpty
}

do {
    exit(try check() ? 0 : 1)
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(1)
}
