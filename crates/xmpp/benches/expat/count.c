// Reads a document from a file with expat and its namespace processing, in pieces as they come from a socket, and
// prints the seconds of CPU one pass took. The handlers only count: what a server then does with an element is extra.
//
//   cc -O2 count.c -lexpat -o count && ./count FILE CHUNK_BYTES PASSES

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned long elements, attributes, text_bytes;

static void on_start(void *data, const XML_Char *name, const XML_Char **given) {
    (void)data;
    (void)name;
    elements++;
    for (; *given; given += 2) attributes++;
}

static void on_end(void *data, const XML_Char *name) {
    (void)data;
    (void)name;
}

static void on_text(void *data, const XML_Char *text, int length) {
    (void)data;
    (void)text;
    text_bytes += (unsigned long)length;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    FILE *file = fopen(arguments[1], "rb");
    if (!file) return 2;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *document = malloc((size_t)size);
    if (!document || fread(document, 1, (size_t)size, file) != (size_t)size) return 2;
    fclose(file);
    long chunk = atol(arguments[2]);
    char *buffer = malloc((size_t)chunk);
    if (!buffer) return 2;
    for (int pass = atoi(arguments[3]); pass > 0; pass--) {
        double start = cpu_seconds();
        XML_Parser parser = XML_ParserCreateNS("UTF-8", ' ');
        XML_SetElementHandler(parser, on_start, on_end);
        XML_SetCharacterDataHandler(parser, on_text);
        for (long at = 0; at < size; at += chunk) {
            long length = size - at < chunk ? size - at : chunk;
            memcpy(buffer, document + at, (size_t)length);
            if (XML_Parse(parser, buffer, (int)length, 0) != XML_STATUS_OK) return 1;
        }
        XML_ParserFree(parser);
        printf("%.6f\n", cpu_seconds() - start);
    }
    fprintf(stderr, "%lu elements, %lu attributes, %lu bytes of text\n", elements, attributes, text_bytes);
    return 0;
}
