// Runs Smack's integration test framework against an explicit host and port, in an order that does not change from run to run.
// Prints "FAIL name : why" and "SKIP name : why" a test; the last line is "PASS n FAIL m".

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import javassist.ClassPool;
import javassist.CtClass;
import javassist.LoaderClassPath;
import org.igniterealtime.smack.inttest.Configuration;
import org.igniterealtime.smack.inttest.ConnectionConfigurationBuilderApplier;
import org.igniterealtime.smack.inttest.SmackIntegrationTestFramework;
import org.igniterealtime.smack.inttest.TestResult;
import org.jivesoftware.smack.ConnectionConfiguration;

public class Run {
    static final int WHY_CHARACTERS_MAX = 180;

    public static void main(String[] arguments) throws Exception {
        mendFramework();
        Configuration configuration = Configuration.newConfiguration(arguments);
        setPort(configuration, Integer.getInteger("throng.port"));
        var result = new SmackIntegrationTestFramework(configuration).run();

        var skipped = new ArrayList<String>();
        result.getNotPossibleTests().forEach(test ->
            skipped.add(line("SKIP", name(test), test.testNotPossibleException.getMessage())));
        result.getImpossibleTestClasses().forEach((type, why) -> skipped.add(line("SKIP", type.getName(), why.toString())));
        var failed = new ArrayList<String>();
        result.getFailedTests().forEach(test -> failed.add(line("FAIL", name(test), String.valueOf(test.failureReason))));
        for (var lines : List.of(skipped, failed)) {
            Collections.sort(lines);
            lines.forEach(System.out::println);
        }
        System.out.println("PASS " + result.getSuccessfulTests().size() + " FAIL " + failed.size());
        System.out.flush();
        Runtime.getRuntime().halt(failed.isEmpty() ? 0 : 2); // some tests leave threads behind
    }

    /** Keeps one test's trouble from ending the run; must come before the classes are loaded. */
    static void mendFramework() throws Exception {
        ClassPool pool = new ClassPool(true);
        pool.appendClassPath(new LoaderClassPath(Run.class.getClassLoader()));

        CtClass framework = pool.get("org.igniterealtime.smack.inttest.SmackIntegrationTestFramework");
        // A test that throws a RuntimeException (a room's form without a field it wants) is a failed test, not the end.
        framework.getDeclaredMethod("throwFatalException").insertBefore(
            "{ if ($1 instanceof RuntimeException || $1 instanceof org.jivesoftware.smack.SmackException.NoResponseException)"
            + " return (Exception) $1; }");
        framework.getDeclaredMethod("runTests").insertBefore("{ $1 = Run.ordered($1); }");
        framework.toClass();

        // A filter that throws (a message without a body) would end the main connection's reader: it did not match.
        CtClass listener = pool.get("org.jivesoftware.smack.AbstractXMPPConnection$ListenerWrapper");
        listener.getDeclaredMethod("filterMatches").addCatch(
            "{ System.err.println(\"filter threw \" + $e); return false; }", pool.get("java.lang.RuntimeException"));
        listener.toClass(ConnectionConfiguration.class.getClassLoader(), null);
    }

    /** Some classes leave state behind: by name, or shuffled by a seed. Raw, as compiled code calls it. */
    @SuppressWarnings({"rawtypes", "unchecked"})
    public static Set ordered(Set classes) {
        List<Class<?>> list = new ArrayList<>(classes);
        list.sort(Comparator.comparing(Class::getName));
        if (System.getProperty("throng.seed") != null) Collections.shuffle(list, new Random(Long.getLong("throng.seed")));
        return new LinkedHashSet<>(list);
    }

    /** The framework takes a host, not a port. */
    static void setPort(Configuration configuration, int port) throws ReflectiveOperationException {
        Field field = Configuration.class.getDeclaredField("configurationApplier");
        field.setAccessible(true);
        var applier = (ConnectionConfigurationBuilderApplier) field.get(configuration);
        ConnectionConfigurationBuilderApplier withPort = builder -> {
            applier.applyConfigurationTo(builder);
            builder.setPort(port);
        };
        field.set(configuration, withPort);
    }

    static String name(TestResult result) {
        var method = result.concreteTest.getMethod();
        String whole = result.concreteTest.toString();
        int variant = whole.indexOf('(');
        return method.getDeclaringClass().getName() + "#" + method.getName() + (variant < 0 ? "" : whole.substring(variant));
    }

    static String line(String verdict, String name, String why) {
        String text = why == null ? "" : why.replaceAll("\\s+", " ");
        return verdict + " " + name + " : " + text.substring(0, Math.min(text.length(), WHY_CHARACTERS_MAX));
    }
}
