# The demo in a container, as yourself. The model is fetched at the first run and kept in the volume:
#   docker build -t obverse .
#   mkdir -p runs
#   docker run --rm --user "$(id -u)" -v obverse-cache:/cache -v "$PWD/runs:/work/runs" obverse
# Any other command goes the same way: docker run --rm -v obverse-cache:/cache obverse doctor
FROM python:3.13-slim

# Left to itself, pip takes the CUDA build of torch (several GB). For a small image give the address of the CPU builds:
#   docker build --build-arg TORCH_INDEX=ADDRESS -t obverse .
ARG TORCH_INDEX=""

WORKDIR /opt/obverse
COPY constraints.txt ./
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' constraints.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt '.[plot]'

# Anybody may write here, since --user is anybody; and whoever that is has no home of their own in the image.
RUN useradd --create-home obverse && install -d -m 1777 /cache /work /work/runs
USER obverse
ENV OBVERSE_CACHE=/cache HOME=/cache
VOLUME /cache
WORKDIR /work

ENTRYPOINT ["obverse"]
CMD ["demo"]
