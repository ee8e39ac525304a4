// Classifies images with the models of this export, as Salamander does, and checks itself on golden/.
//
// For an app: copy this file, keep the class of the runtime that you use (OnnxModel or LiteRtModel) and leave out `main` with what
// follows it. On a computer, in the export's folder:
//
//     kotlinc snippets/Classify.kt -cp LIBRARIES -include-runtime -d classify.jar
//     java -cp classify.jar:LIBRARIES ClassifyKt . [IMAGE…]
//
// LIBRARIES are onnxruntime-VERSION.jar for .onnx. Models whose runtime is not there are named, and their preprocessing is checked
// all the same. Ends with 1 if anything differs. It takes upright images of 8 bits a value, with transparency or without.

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.system.exitProcess

/** Pixels, three bytes each: R, G, B, row by row. */
class Rgb(val width: Int, val height: Int, val bytes: ByteArray)

/** Pixels as Bitmap.getPixels and BufferedImage.getRGB give them, ARGB and not premultiplied, laid on white. */
fun onWhite(argb: IntArray, width: Int, height: Int): Rgb {
    val bytes = ByteArray(width * height * 3)
    for (at in argb.indices) {
        val alpha = argb[at] ushr 24
        for (channel in 0..2) {
            val value = (argb[at] ushr (16 - 8 * channel)) and 255
            bytes[3 * at + channel] = ((value * alpha + 255 * (255 - alpha) + 127) / 255).toByte()
        }
    }
    return Rgb(width, height, bytes)
}

/** How an image becomes the input of a model: what preprocess.json says, and the model's own line in golden.json. */
class Recipe(preprocess: Map<*, *>, input: Map<*, *>) {
    val side = (preprocess["resolution_px"] as Double).toInt()
    val fit = preprocess["fit"] as String
    val bars = numbers(preprocess["bar_rgb"]).map { it.toInt().toByte() }
    val kind = input["kind"] as String
    val mean = numbers(input["mean"] ?: preprocess["mean"])
    val std = numbers(input["std"] ?: preprocess["std"])

    /** Below this probability an image is none of the classes. */
    val unknownBelow = (preprocess["unknown_below"] as Double?) ?: 0.0

    private fun numbers(list: Any?) = (list as List<*>).map { (it as Double).toFloat() }

    /** The label of the greatest probability. */
    fun answer(found: FloatArray, labels: List<*>): String {
        val best = found.indices.maxBy { found[it] }!!
        return if (found[best] < unknownBelow) "unknown (nearest: ${labels[best]})" else "${labels[best]}"
    }

    /** The image cut and resized to side × side pixels. */
    fun square(image: Rgb): Rgb {
        val (width, height) = Pair(image.width, image.height)
        if (fit == "center_crop") {
            val cut = minOf(width, height)
            return resize(crop(image, (width - cut) / 2, (height - cut) / 2, cut), side, side)
        }
        if (fit == "stretch") return resize(image, side, side)
        val longer = maxOf(width, height)
        val inner = listOf(width, height).map { maxOf(1, (2 * it * side + longer) / (2 * longer)) }
        val small = resize(image, inner[0], inner[1])
        val (left, top) = Pair((side - inner[0]) / 2, (side - inner[1]) / 2)
        val bytes = ByteArray(side * side * 3) { bars[it % 3] }
        for (y in 0 until inner[1]) {
            val row = small.bytes.copyOfRange(3 * y * inner[0], 3 * (y + 1) * inner[0])
            row.copyInto(bytes, 3 * ((top + y) * side + left))
        }
        return Rgb(side, side, bytes)
    }

    /** The input of a model, of a batch of one: bytes, or floats in this machine's order. */
    fun tensor(image: Rgb): ByteBuffer {
        val pixels = square(image).bytes
        val size = if (kind == "uint8_nhwc") pixels.size else 4 * pixels.size
        val input = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())
        if (kind == "uint8_nhwc") {
            input.put(pixels)
        } else {
            val planar = kind == "float32_nchw"
            for (at in pixels.indices) {
                val from = if (planar) at % (side * side) * 3 + at / (side * side) else at
                val channel = from % 3
                input.putFloat(((pixels[from].toInt() and 255) - mean[channel]) / std[channel])
            }
        }
        input.rewind()
        return input
    }

    /** The shape of that. */
    fun shape(): LongArray {
        val side = side.toLong()
        return if (kind == "float32_nchw") longArrayOf(1, 3, side, side) else longArrayOf(1, side, side, 3)
    }
}

fun crop(image: Rgb, left: Int, top: Int, side: Int): Rgb {
    val bytes = ByteArray(side * side * 3)
    for (y in 0 until side) {
        val from = 3 * ((top + y) * image.width + left)
        image.bytes.copyInto(bytes, 3 * y * side, from, from + 3 * side)
    }
    return Rgb(side, side, bytes)
}

/** A triangle filter that is widened when the image shrinks, first along columns, then along rows. */
fun resize(image: Rgb, width: Int, height: Int): Rgb {
    val columns = along(image.bytes, image.height, height, image.width, 3 * image.width, 3, 3 * image.width, 3)
    return Rgb(width, height, along(columns, image.width, width, height, 3, 3 * image.width, 3, 3 * width))
}

/** Resizes `lines` lines from `length` to `wanted` pixels; a step is the distance of pixels, a stride that of lines. */
private fun along(
    from: ByteArray, length: Int, wanted: Int, lines: Int, step: Int, stride: Int, newStep: Int, newStride: Int
): ByteArray {
    val to = ByteArray(wanted * lines * 3)
    val scale = length.toDouble() / wanted
    val support = maxOf(1.0, scale)
    for (at in 0 until wanted) {
        val center = (at + 0.5) * scale
        val first = maxOf(0, (center - support + 0.5).toInt())
        val last = minOf(length, (center + support + 0.5).toInt())
        val weights = DoubleArray(last - first) {
            maxOf(0.0, 1.0 - Math.abs((first + it - center + 0.5) / support))
        }
        val sum = weights.sum()
        for (line in 0 until lines) for (channel in 0..2) {
            var value = 0.0
            for (tap in weights.indices) {
                value += weights[tap] * (from[line * stride + (first + tap) * step + channel].toInt() and 255)
            }
            to[line * newStride + at * newStep + channel] =
                minOf(255, maxOf(0, Math.floor(value / sum + 0.5).toInt())).toByte()
        }
    }
    return to
}

/** A model: from the input to a probability for each label. */
interface Model {
    fun run(input: ByteBuffer, recipe: Recipe): FloatArray
}

/** With ONNX Runtime: com.microsoft.onnxruntime:onnxruntime-android, on a computer :onnxruntime. */
class OnnxModel(file: File, private val input: String, private val output: String) : Model {
    private val environment = ai.onnxruntime.OrtEnvironment.getEnvironment()
    private val session = environment.createSession(file.readBytes(), ai.onnxruntime.OrtSession.SessionOptions())

    override fun run(input: ByteBuffer, recipe: Recipe): FloatArray {
        val tensor = if (recipe.kind == "uint8_nhwc") {
            ai.onnxruntime.OnnxTensor.createTensor(environment, input, recipe.shape(), ai.onnxruntime.OnnxJavaType.UINT8)
        } else {
            ai.onnxruntime.OnnxTensor.createTensor(environment, input.asFloatBuffer(), recipe.shape())
        }
        try {
            val found = session.run(mapOf(this.input to tensor), setOf(output))
            try {
                @Suppress("UNCHECKED_CAST")
                return (found.get(0).value as Array<FloatArray>)[0]
            } finally {
                found.close()
            }
        } finally {
            tensor.close()
        }
    }
}

/** With LiteRT: com.google.ai.edge.litert:litert. */
class LiteRtModel(file: File, private val labels: Int) : Model {
    private val bytes = file.readBytes()
    private val interpreter = org.tensorflow.lite.Interpreter(
        ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes)
    )

    override fun run(input: ByteBuffer, recipe: Recipe): FloatArray {
        val found = arrayOf(FloatArray(labels))
        interpreter.run(input, found)
        return found[0]
    }
}

fun opened(folder: File, model: Map<*, *>, labels: Int): Model? {
    val file = File(folder, model["file"] as String)
    val name = { part: String -> (model[part] as Map<*, *>)["name"] as String }
    return try {
        when (file.extension) {
            "onnx" -> OnnxModel(file, name("input"), name("output"))
            "tflite" -> LiteRtModel(file, labels)
            else -> null
        }
    } catch (missing: LinkageError) {
        null
    }
}

fun main(arguments: Array<String>) {
    val folder = File(arguments.firstOrNull() ?: ".")
    val golden = json(File(folder, "golden/golden.json").readText()) as Map<*, *>
    val preprocess = json(File(folder, "preprocess.json").readText()) as Map<*, *>
    val labels = golden["labels"] as List<*>
    val problems = mutableListOf<String>()
    var checked = 0
    for (entry in golden["models"] as List<*>) {
        val model = entry as Map<*, *>
        val file = model["file"] as String
        val recipe = Recipe(preprocess, model["input"] as Map<*, *>)
        val runner = opened(folder, model, labels.size)
        if (arguments.size > 1 && runner != null) {
            for (path in arguments.drop(1)) {
                val found = runner.run(recipe.tensor(load(File(path))), recipe)
                println("$path: ${recipe.answer(found, labels)} ${found.max()}")
            }
            return
        }
        var largest = 0.0
        for (each in golden["images"] as List<*>) {
            val image = each as Map<*, *>
            val made = recipe.tensor(load(File(folder, image["image"] as String)))
            val npy = File(folder, (image["inputs"] as Map<*, *>)[recipe.kind] as String)
            val apart = levels(made, values(npy), recipe)
            checked += 1
            if (apart > 2.01) problems.add("$file: preprocessing ${image["image"]} does not give the expected input: they differ by $apart levels of 255")
            if (runner == null) continue
            val found = runner.run(values(npy), recipe)
            val expected = (image["expected"] as Map<*, *>)[file] as List<*>
            for (at in expected.indices) {
                val difference = Math.abs(found[at] - expected[at] as Double)
                // Not a number is the largest difference there is.
                largest = maxOf(largest, if (difference.isNaN()) 1e9 else difference)
            }
        }
        println(if (runner == null) "$file: inputs as expected or named below; not run here" else "$file: probabilities within $largest")
        if (largest > model["tolerance"] as Double) problems.add("$file: a probability differs by $largest")
    }
    if (checked == 0) problems.add("nothing was checked")
    problems.forEach { System.err.println(it) }
    println(if (problems.isEmpty()) "as expected" else "NOT as expected")
    exitProcess(if (problems.isEmpty()) 0 else 1)
}

/** On Android: BitmapFactory with inPremultiplied = false, turned as its EXIF orientation says; then getPixels. */
fun load(file: File): Rgb {
    val image = javax.imageio.ImageIO.read(file)
    val pixels = image.getRGB(0, 0, image.width, image.height, null, 0, image.width)
    return onWhite(pixels, image.width, image.height)
}

/** The values of a NumPy file that golden/ has, in this machine's order. */
fun values(file: File): ByteBuffer {
    val bytes = file.readBytes()
    val start = 10 + (bytes[8].toInt() and 255) + 256 * (bytes[9].toInt() and 255)
    val from = ByteBuffer.wrap(bytes, start, bytes.size - start).slice().order(ByteOrder.LITTLE_ENDIAN)
    val to = ByteBuffer.allocateDirect(from.remaining()).order(ByteOrder.nativeOrder())
    if (String(bytes, 0, start).contains("'<f4'")) {
        while (from.hasRemaining()) to.putFloat(from.getFloat())
    } else {
        to.put(from)
    }
    to.rewind()
    return to
}

/** The largest difference of two inputs, in levels of 255. */
fun levels(made: ByteBuffer, expected: ByteBuffer, recipe: Recipe): Double {
    if (made.capacity() != expected.capacity()) return 1e9
    if (recipe.kind == "uint8_nhwc") {
        return (0 until made.capacity()).map { Math.abs((made[it].toInt() and 255) - (expected[it].toInt() and 255)) }.max()!!.toDouble()
    }
    val (a, b) = Pair(made.asFloatBuffer(), expected.asFloatBuffer())
    return (0 until a.capacity()).map { Math.abs(a[it] - b[it]) }.max()!!.toDouble() * recipe.std.max()!!
}

/** JSON: objects as maps, lists, numbers as Double, text, true, false, null. On Android org.json does this. */
fun json(text: String): Any? {
    var at = 0
    fun space() { while (at < text.length && text[at].isWhitespace()) at += 1 }
    fun take(c: Char) { space(); require(text[at] == c) { "$c expected at $at" }; at += 1 }
    fun next(): Char { space(); return text[at] }
    fun string(): String {
        take('"')
        val found = StringBuilder()
        while (text[at] != '"') {
            if (text[at] != '\\') { found.append(text[at]); at += 1; continue }
            val c = text[at + 1]
            at += 2
            if (c == 'u') { found.append(text.substring(at, at + 4).toInt(16).toChar()); at += 4 }
            else found.append(when (c) { 'n' -> '\n'; 't' -> '\t'; 'r' -> '\r'; 'b' -> '\b'; 'f' -> '\u000c'; else -> c })
        }
        at += 1
        return found.toString()
    }
    fun value(): Any? {
        val c = next()
        if (c == '"') return string()
        if (c == '{' || c == '[') {
            take(c)
            val (map, list) = Pair(LinkedHashMap<String, Any?>(), ArrayList<Any?>())
            val end = if (c == '{') '}' else ']'
            while (next() != end) {
                if (c == '{') { val key = string(); take(':'); map[key] = value() } else list.add(value())
                if (next() == ',') take(',')
            }
            take(end)
            return if (c == '{') map else list
        }
        val start = at
        while (at < text.length && text[at] !in ",]} \n\r\t") at += 1
        return when (val word = text.substring(start, at)) { "true" -> true; "false" -> false; "null" -> null; else -> word.toDouble() }
    }
    return value()
}
